"""Answer devices: joins, acknowledgements, commands, within windows and air time."""
