"""What folders share for networks: HTTP, addresses, traffic, visitors."""
