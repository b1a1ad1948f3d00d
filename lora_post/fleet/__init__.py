"""Many gateways, shared devices: a log on NATS. Loaded only with a [fleet]."""
