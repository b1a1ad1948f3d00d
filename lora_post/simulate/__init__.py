"""Devices that do not exist."""
