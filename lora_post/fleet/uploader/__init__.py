"""The uploader's part: the log into the queue of the spool, commands to the hub."""
