"""Judge frames, joins and commands by the log."""
