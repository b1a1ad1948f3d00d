"""What the names of values tell about unit and quantity."""

from lora_post.results.meanings import Meaning, known_unit, meaning_of, tells_quantity

__all__ = ["Meaning", "known_unit", "meaning_of", "tells_quantity"]
