"""Waziup Cloud."""
