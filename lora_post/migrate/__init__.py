"""From other programs' installations to a configuration."""
