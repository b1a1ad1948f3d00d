"""From a frame to an uplink: whose it is, whether it is authentic and new."""
