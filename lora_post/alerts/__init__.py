"""Tell a person about trouble that lasts."""
