"""Telling a person that something persists: rules, when they are raised and cleared, and how it is sent."""
