"""lora-post: radio frames in, sensor values on Waziup Cloud.

What a decoder file in `decoders/` needs is importable from here.
"""

from lora_post.errors import BadChecksum, DecodeError, Implausible, NoReading, WrongFormat, WrongLength
from lora_post.model import Decoder, Example, Reading

__version__ = "0.1.0"

__all__ = [
    "BadChecksum",
    "DecodeError",
    "Decoder",
    "Example",
    "Implausible",
    "NoReading",
    "Reading",
    "WrongFormat",
    "WrongLength",
]
