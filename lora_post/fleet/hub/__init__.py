"""The connection to the hub, and its messages."""
