"""From a frame to what is sent back: joins, windows, air time."""
