"""What pages share: how they are served, how they look."""
