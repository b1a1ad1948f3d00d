"""Waziup's words: ids and texts that the cloud takes; its kinds, quantities and units."""
