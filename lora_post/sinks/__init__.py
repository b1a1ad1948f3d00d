"""Destinations: the servers, brokers and files that readings are sent to."""
