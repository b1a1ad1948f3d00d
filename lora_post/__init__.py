"""lora-post: radio frames in, sensor values on Waziup Cloud.

The names here and in `lora_post.payloads` are what a decoder file may import.
"""

from lora_post.errors import BadChecksum, ConfigError, DecodeError, Implausible, NoReading, WrongFormat, WrongLength
from lora_post.model import Actuator, Decoded, Decoder, Example, Options, Reading, Value
from lora_post.units import UNITS

__version__ = "0.1.0"

__all__ = [
    "UNITS",
    "Actuator",
    "BadChecksum",
    "ConfigError",
    "DecodeError",
    "Decoded",
    "Decoder",
    "Example",
    "Implausible",
    "NoReading",
    "Options",
    "Reading",
    "Value",
    "WrongFormat",
    "WrongLength",
]
