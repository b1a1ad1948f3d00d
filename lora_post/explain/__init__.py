"""Explain a frame or a payload to a person, for `decode`."""
