"""The gateway's part: keep frames, publish them."""
