"""From the spool to a sink: what is sent when, and what may have arrived already."""
