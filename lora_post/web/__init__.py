"""What pages share: how they are served, who may see them, how they look."""
