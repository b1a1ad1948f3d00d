"""Write captures, and compare replayed ones with what is expected of them."""
