"""Codecs of vendors in JavaScript."""
