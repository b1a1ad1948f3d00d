"""Home gateways: one decides about its own devices alone, and its log is mirrored to the hub."""
