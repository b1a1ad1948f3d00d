"""From a payload to readings: decoders, found, chosen, run and watched."""
