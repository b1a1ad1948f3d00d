"""The status page in a terminal, for `watch`."""
