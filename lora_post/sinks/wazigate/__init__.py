"""A WaziGate on the local network."""
