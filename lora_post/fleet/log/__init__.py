"""The log of each device, and the fold that says which entries are valid."""
