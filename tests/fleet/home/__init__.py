"""Home gateways."""
