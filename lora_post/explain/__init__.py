"""A frame explained to a person."""
