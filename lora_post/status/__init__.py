"""What a running lora-post tells of itself: a page, metrics and health."""
