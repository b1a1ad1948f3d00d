"""lora-post as a systemd service."""
