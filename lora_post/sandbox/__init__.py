"""A Waziup-compatible server on this machine, for trials and tests.

`server.running_sandbox` starts one in a thread, `lora-post sandbox` one in the foreground. It behaves
like the strict real server, its peculiarities included; what differs is said where it differs:
bodies are bounded (413), a calibration function is refused, there is no MQTT, no VPN, no projects.
"""
