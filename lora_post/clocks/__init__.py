"""The clocks: this machine's, the gateway's (which stamps frames), one that is never set."""
