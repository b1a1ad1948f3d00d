"""From the spool to a sink: what is sent when, what may have arrived."""
