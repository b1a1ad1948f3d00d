"""Print or install the systemd units, for `service`."""
