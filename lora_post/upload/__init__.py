"""From the spool to a sink."""
