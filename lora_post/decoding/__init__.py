"""From a payload to readings: decoders are found, chosen, run and limited in time."""
