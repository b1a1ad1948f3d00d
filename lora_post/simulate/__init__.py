"""Make traffic as devices would, for `simulate`."""
