"""LoRaWAN: the layout of its frames, and its keys. Bytes in, bytes out."""
