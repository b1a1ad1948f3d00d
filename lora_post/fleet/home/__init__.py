"""A home gateway decides about its own devices alone; the hub's log follows."""
