"""LowCostLoRaGw's four-byte header and its light cipher. Bytes in, bytes out."""
