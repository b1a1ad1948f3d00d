"""Published codecs, through the product: what becomes of what they decode."""
