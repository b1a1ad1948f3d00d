"""Captures: written, and held against what is expected of them."""
