"""The clocks: this machine's, the gateway's, one that is never set."""
