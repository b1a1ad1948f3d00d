"""The connection to the hub, and what goes over it: subjects, messages."""
