"""Judge frames, joins and commands by what the log holds: what each changes."""
