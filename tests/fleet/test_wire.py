"""The bytes that gateways, workers and uploaders of different versions exchange, as they are in `wire.txt`.

A test that fails here has found that another version does not understand this one. What is added at the end of a
message, with a default, is understood: add its line to the file, below the old one, which must be read as before.
Anything else needs another `VERSION`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from lora_post.command import Command, Fate, Moment, Sealed, Step
from lora_post.downlink.transmit import Transmission, Window
from lora_post.fleet.gateway.publisher import GatewayState
from lora_post.fleet.home import heads, offers
from lora_post.fleet.hub import downlinks, raw
from lora_post.fleet.judging.desk import Errand
from lora_post.fleet.log import entry
from lora_post.fleet.log.entry import (
    Accepted,
    Counters,
    Down,
    Entry,
    Given,
    Joins,
    Queued,
    ReadingRow,
    Reception,
    State,
    Told,
)
from lora_post.fleet.log.inheritance import moved_of, moved_text
from lora_post.fleet.uploader import errands, turns
from lora_post.fleet.worker.worker import WorkerState
from lora_post.lorawan.region import DataRate, Slot
from lora_post.model import Actuator, Frame, Link, RxInfo
from lora_post.times import WallUs
from lora_post.uplink import window

SHORT = Entry("id", "before", 9, State(stands_in_for="north", decides_since_us=WallUs(5)), "short", answers=2)
BACK = Entry("id", "before", 9, State(owner="north", decides_since_us=WallUs(5), knows_until="void"), "own", 2)
FILE = Path(__file__).with_name("wire.txt")
NOW = WallUs(1_790_000_000_000_000)
FRAME = Frame("gw1", NOW, b"\x40\1\2\3", RxInfo(-97.25, 6.5, 7, 125.0, "4/5", 868.1), Link.LORAWAN, 123456)
RAW = raw.Raw.of(FRAME, 7, "gw1", kept=True, age_us=1_500_000)
KNOWN_LITTLE = raw.Raw.of(Frame("other", NOW, b"\x80", RxInfo()), 8, "gw1", kept=False, age_us=None)
RX1 = Window("RX1", 123456 + 1_000_000, Slot(868_100_000, DataRate(7, 125_000, 242), 16))
SENT = Transmission("gw1", "RX1", True)
REFUSED = Transmission("gw1", "RX2", False, "TOO_LATE")
COMMAND = Command(
    "pond",
    10,
    b"\1\xff",
    Moment(NOW, "boot", 5),
    3,
    True,
    600.0,
    "valve",
    1.5,
    Fate.SENT,
    (Step(NOW, "sent by gateway gw1 in RX1"),),
    Sealed("session", 87, b"\x60", 12, True),
    2,
    "gw1",
    "RX1",
    True,
)
STATE = State(
    Counters(window.Window(9, NOW, (window.Gap(3, 4, NOW, NOW),)), 5, 6, b"told"),
    Joins(
        b"root",
        (1, 2),
        b"\1",
        NOW,
        4,
        b"answer",
        (Given(0x260B0001, 2, 4, 0, 5, True, Counters(window.Window(1)), b"cf"),),
        ((0x260B0001, 1),),
        b"again",
    ),
    b"recent",
    (Queued("desk", COMMAND),),
    ("desk:1",),
    "gw1",
    True,
)
ACCEPTED = Accepted(
    "pond",
    FRAME,
    70000,
    70000,
    12,
    (Reception("gw1", "0f1e", 7, -97.25, 6.5),),
    2,
    (ReadingRow("t", 23.5, "°C", 1, "temperature", 60.0, 5.0),),
    ("a warning",),
    (Actuator("valve"),),
    "a problem",
    b"\1",
    False,
    True,
)
ENTRY = Entry(
    "id",
    "before",
    412,
    STATE,
    "up",
    3,
    ACCEPTED,
    Down(87, b"\x60"),
    (Queued("desk", COMMAND),),
    (Told("pond", ReadingRow("valve_state", "sent"), NOW),),
)


class Kind(NamedTuple):
    """A kind of message: samples with everything that it may say and with little, and how it is written and read."""

    samples: tuple[Any, ...]
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def json_of(type_: type) -> Callable[[bytes], Any]:
    return lambda data: msgspec.json.decode(data, type=type_)


KINDS = {
    "frames": Kind(
        (raw.Handed(raw.VERSION, "0f1e", (RAW, KNOWN_LITTLE)),),
        lambda handed: raw.hand_in(handed.store, handed.frames),
        raw.decode_handed,
    ),
    "word": Kind((raw.Settled("0f1e", (7, 8)), raw.OfferAgain(), raw.OfferWaiting()), raw.encode, raw.decode_word),
    "request": Kind(
        (downlinks.Request("id", "gw1", b"\x60", (RX1, Window("C", None, RX1.slot)), True),),
        downlinks.encode,
        msgspec.msgpack.Decoder(downlinks.Request).decode,
    ),
    "reply": Kind((downlinks.RequestReply("busy"),), downlinks.encode, downlinks.decode_reply),
    "fate": Kind(
        tuple(downlinks.RequestFate("id", each) for each in (SENT, REFUSED)), downlinks.encode, downlinks.decode_fate
    ),
    "entry": Kind((ENTRY, Entry("id", "", 1, State(), "own"), SHORT, BACK), entry.encode, entry.decode),
    "command": Kind(
        (Errand("desk", COMMAND), Errand("desk", Command("pond", 1, b"", Moment(NOW, "", 0)), True)),
        errands.encode_errand,
        errands.decode_errand,
    ),
    "turn": Kind((turns.Turn("desk", "0f1e"),), msgspec.json.encode, json_of(turns.Turn)),
    "gateway": Kind((GatewayState("gw1", "1.0", 1, 2, None, 3.5),), msgspec.json.encode, json_of(GatewayState)),
    "worker": Kind(
        (
            WorkerState("desk", 1, 2, {"gw1": 3.5}),
            WorkerState("desk", refused=3),
        ),
        msgspec.json.encode,
        json_of(WorkerState),
    ),
    "moved": Kind(({"260b0001": 3},), moved_text, lambda data: moved_of(data.decode())),
    "offer": Kind(
        (
            offers.Offer(FRAME, Reception("gw1", "0f1e", 7)),
            offers.Offer(errand=Errand("desk", COMMAND)),
            offers.Offer(),
        ),
        offers.encode_offer,
        offers.decode_offer,
    ),
    "asked": Kind(([heads.Asked("log.1.pond", ("a", "b"))],), heads.encode_asked, heads.decode_asked),
    "seen": Kind(([heads.Seen("log.1.pond", "b", b"{}")],), heads.encode_seen, heads.decode_seen),
}


def lines(name: str) -> list[str]:
    """Return the messages of a kind in the file, the oldest form first."""
    return [line.partition(" ")[2] for line in FILE.read_text().splitlines() if line.startswith(f"{name} ")]


def text_of(data: bytes) -> str:
    return data.decode() if data.startswith(b"{") else data.hex()


def bytes_of(text: str) -> bytes:
    return text.encode() if text.startswith("{") else bytes.fromhex(text)


@pytest.mark.parametrize("name", KINDS)
def test_messages_are_written_as_other_versions_read_them(name: str) -> None:
    kind = KINDS[name]
    written = [text_of(kind.encode(sample)) for sample in kind.samples]
    assert written == lines(name)[-len(written) :], "\n".join(f"{name} {each}" for each in written)


@pytest.mark.parametrize("name", KINDS)
def test_messages_of_other_versions_are_read(name: str) -> None:
    kind = KINDS[name]
    for number, text in enumerate(lines(name)):
        assert kind.decode(bytes_of(text)) == kind.samples[number % len(kind.samples)], text


@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"moved", "asked", "seen"}))
def test_what_a_newer_version_says_besides_is_passed_over(name: str) -> None:
    kind = KINDS[name]
    for sample in kind.samples:
        data = kind.encode(sample)
        plain = msgspec.json.decode(data) if data.startswith(b"{") else msgspec.msgpack.decode(data)
        longer = [*plain, "more"] if isinstance(plain, list) else {**plain, "more": 1}
        again = msgspec.json.encode(longer) if data.startswith(b"{") else msgspec.msgpack.encode(longer)
        assert kind.decode(again) == sample


def test_every_kind_stands_in_the_file() -> None:
    assert {line.partition(" ")[0] for line in FILE.read_text().splitlines()} == KINDS.keys()
