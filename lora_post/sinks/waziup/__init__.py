"""Waziup Cloud: HTTP, accounts, creating what is missing, values over MQTT."""
