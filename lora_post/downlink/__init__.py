"""From a frame to what is sent back: joins answered, windows chosen, air time limited."""
