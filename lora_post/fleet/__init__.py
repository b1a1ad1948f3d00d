"""Many gateways, shared devices: a log on NATS."""
