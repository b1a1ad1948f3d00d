"""Waziup's words: ids, texts, kinds, quantities, units."""
