"""Plain text: the whole payload is one reading.

Any FPort or none, UTF-8, any length. NULs and line ends behind the text, which C programs and serial
lines leave there, are not part of it. For text with names and values there are `text` and `json`.
"""

from lora_post import Decoder, Example, Reading, WrongFormat, WrongLength
from lora_post.payloads.actuators import encode_text


def decode(payload: bytes, fport: int) -> list[Reading]:
    try:
        text = payload.decode().rstrip("\0\r\n")
    except UnicodeDecodeError as error:
        raise WrongFormat(f"not UTF-8 at offset {error.start}") from None
    if not text:
        raise WrongLength("no text")
    return [Reading("text", text)]


DECODER = Decoder(
    name="utf8",
    vendor="any",
    model="UTF-8 text",
    source="RFC 3629",
    decode=decode,
    encode=encode_text,
    examples=[
        Example("446F6F72206F70656E", gives=[Reading("text", "Door open")]),
        Example("32322E35C2B043 0D0A00", gives=[Reading("text", "22.5°C")]),
        Example("32322E35B043", fails=WrongFormat),  # Latin-1
        Example("00", fails=WrongLength),
    ],
)
