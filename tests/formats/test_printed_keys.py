"""A radio module that prints its keys when it starts: no format shows them to anybody."""

from __future__ import annotations

import logging
import re

import pytest

from lora_post.formats import FORMATS
from lora_post.inputs import parser_for
from lora_post.model import Noise
from lora_post.run.outcome_log import OutcomeLog
from lora_post.secret import hide_secrets
from tests.support.build import NOON_US

KEY = "2b7e151628aed2a6abf7158809cf4f3c"
PAIRS = [KEY[at : at + 2] for at in range(0, 32, 2)]
SPELLED = [
    KEY,
    KEY.upper(),
    KEY[:31],  # a character was lost
    " ".join(PAIRS),
    "-".join(PAIRS).upper(),
    "\t".join(PAIRS),
    "|".join(PAIRS),
    "".join(f"\\x{pair}" for pair in PAIRS),
    "{ " + ", ".join(f"0x{pair}" for pair in PAIRS) + " };",
]
PRINTED = [
    *(
        f"{before}{key}"
        for key in SPELLED
        for before in ("", "AppKey: ", "NwkSKey=", "dev 26011bda ", "+AppSKey,", "^p")
    ),
    "radio_rx  " + KEY + " 2",
    "+EVT:RXP2P:-57:x:" + KEY,
    "+RCV=x,16," + KEY,
    '{"AppKey":"K34VFiiu0qar9xWICc9PPA=="',
    *(f"wifi {word}: K34VFiiu0qar9xWICc9PPA==" for word in ("password", "passwd", "pass", "psk", "token", "secret")),
]


def leaked(text: str) -> bool:
    """Tell whether four bytes of the key, or four characters in base64, are in a text."""
    bare = re.sub("0x|[^0-9a-f]", "", text.lower())
    hexes = (KEY[at : at + 8] for at in range(0, 24, 2))
    return any(each in bare for each in hexes) or "K34V" in text or "ICc9" in text


@pytest.mark.parametrize("name", FORMATS)
def test_keys_are_neither_logged_nor_told(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for line in PRINTED:
        parser, write = parser_for(name, "gw1"), OutcomeLog()
        stream = (line + "\r\n").encode() * 24  # more than it takes to be told of strange lines
        noise = [
            event for event in (*parser.feed(stream, NOON_US), *parser.finish(NOON_US)) if isinstance(event, Noise)
        ]
        for event in noise:
            write(event)
        assert not any(map(leaked, (event.detail for event in noise))), line
    assert not any(map(leaked, caplog.messages))


def test_what_is_no_key_stays() -> None:
    for text in ("dev_addr 26011bda dev_eui 70b3d57ed005fa11", "SX1276 detected, starting.", "^p1,16,6,0,9,8,-45"):
        assert hide_secrets(text) == text
    assert hide_secrets(f"session {KEY} of 8") == f"session {'*' * 32} of 8"
    assert hide_secrets("AT+CPIN=EEDCAA90") == "AT+CPIN=********"
