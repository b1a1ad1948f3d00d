"""What the pages have in common: how they are served, who may see them, and how they look."""
