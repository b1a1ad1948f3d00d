"""lora-post: radio frames in, sensor values on Waziup Cloud.

What a decoder file in `decoders/` needs is importable from here.
"""

from lora_post.errors import BadChecksum, ConfigError, DecodeError, Implausible, NoReading, WrongFormat, WrongLength
from lora_post.model import Actuator, Decoded, Decoder, Example, Options, Reading

__version__ = "0.1.0"

__all__ = [
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
    "WrongFormat",
    "WrongLength",
]
