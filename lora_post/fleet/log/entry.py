"""Define the entries of a log: one has all that an accepted frame changes.

An entry names the valid one before it, see `fold`. JSON, so that `nats stream view` shows it to a person.
"""

from __future__ import annotations

import secrets
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from lora_post.command import Command
from lora_post.model import Actuator, Frame, Reading
from lora_post.times import StampUs, WallUs
from lora_post.uplink.window import Window

FIRST: Final = ""
"""What the first entry of a log names as the one before it."""
Kind: TypeAlias = Literal["up", "join", "down", "command", "set", "own", "short"]
"""Of an uplink, of a join-request, of what is sent without a new one, of what becomes of commands, of what a person
changes, of none of them: see `loss`, `inheritance` and `ownership`; of many, see `home.shortening`."""


class Counters(Struct, frozen=True, omit_defaults=True, gc=False):
    """Those of one session.

    window: of uplinks. down: the next FCntDown; all below are used. app_down: the same of LoRaWAN 1.1's AFCntDown.
    told: what the device was told in MAC commands, see `downlink.settings`.
    """

    window: Window = Window()
    down: int = 0
    app_down: int = 0
    told: bytes = b""


class Given(Struct, frozen=True, omit_defaults=True, gc=False):
    """A session that a join gave. Its keys follow from these and the root keys: they do not stand in the log.

    dev_nonce: of the join-request, or the counter of the rejoin-request. is_proved: an uplink came in it. cf_list: the
    channels that it gave.
    """

    dev_addr: int
    dev_nonce: int
    join_nonce: int
    net_id: int
    rx_delay_s: int
    is_proved: bool = False
    counters: Counters = Counters()
    cf_list: bytes = b""


class Joins(Struct, frozen=True, omit_defaults=True):
    """What is known of a device's joins under its root keys; see `JoinState`. root: their fingerprint."""

    root: bytes
    dev_nonces: tuple[int, ...] = ()
    older_nonces: bytes = b""
    asked_us: StampUs = WallUs(0)
    join_nonce: int = 0
    answer: bytes = b""
    sessions: tuple[Given, ...] = ()
    rejoins: tuple[tuple[int, int], ...] = ()
    rejoin_answer: bytes = b""


class Queued(Struct, frozen=True, array_like=True):
    """A command for the device. store: the spool of the lora-post that it was given to, where it has its id."""

    store: str
    command: Command

    @property
    def key(self) -> str:
        """Return what it is known by, after it is over, too."""
        return f"{self.store}:{self.command.id}"


class State(Struct, frozen=True, omit_defaults=True):
    """A device after an entry.

    own: counters of the session that it is configured with. joins: None for a device that has never joined.
    recent: see the module of this name. waiting: commands that are not over. done: keys of the last that are.
    owner: the home gateway that alone decides what follows; "": workers do. is_held: a person has taken the device from
    its home, which is not to take it back. stands_in_for: the home gateway from which workers have taken the device by
    themselves. decides_since_us: when who decides changed last.
    knows_until: the id of an entry of the home gateway. What was used and told up to it is taken over here if void.
    """

    own: Counters = Counters()
    joins: Joins | None = None
    recent: bytes = b""
    waiting: tuple[Queued, ...] = ()
    done: tuple[str, ...] = ()
    owner: str = ""
    is_held: bool = False
    stands_in_for: str = ""
    decides_since_us: WallUs = WallUs(0)
    knows_until: str = ""


class Reception(Struct, frozen=True, array_like=True, gc=False):
    """A gateway that heard it. store, number: of its frame there, see `raw.Raw`."""

    gateway: str
    store: str
    number: int
    rssi_dbm: float | None = None
    snr_db: float | None = None


class ReadingRow(Struct, frozen=True, array_like=True, omit_defaults=True, gc=False):
    """A `Reading` as it stands in an entry."""

    name: str
    value: Any
    unit: str = ""
    channel: int | None = None
    quantity: str = ""
    age_s: float = 0.0
    at_s: float | None = None

    @classmethod
    def of(cls, reading: Reading) -> ReadingRow:
        """Return the row of a reading."""
        return cls(*astuple(reading))

    @property
    def reading(self) -> Reading:
        """Return the reading of the row."""
        return Reading(*astuple(self))


class Accepted(Struct, frozen=True, omit_defaults=True):
    """What was accepted of a frame.

    frame: as the best gateway heard it. fcnt: as of the uplink. counter: the same without roll-over; None where it
    proves nothing. print: what it is known by then. payload: the clear bytes, where they wait for a decoder: see
    `problem`.
    """

    device: str
    frame: Frame
    fcnt: int
    counter: int | None = None
    print: int = 0
    heard_by: tuple[Reception, ...] = ()
    fport: int | None = None
    readings: tuple[ReadingRow, ...] = ()
    warnings: tuple[str, ...] = ()
    actuators: tuple[Actuator, ...] = ()
    problem: str | None = None
    payload: bytes = b""
    is_authentic: bool = True
    is_late: bool = False


class Told(Struct, frozen=True, array_like=True):
    """A reading that no uplink gave: what became of an actuator's value."""

    device: str
    row: ReadingRow
    time_us: StampUs


class Down(Struct, frozen=True):
    """A frame for the device, ready to be sent: whoever sends it again sends these bytes."""

    fcnt: int
    phy_payload: bytes


class Entry(Struct, frozen=True, omit_defaults=True, rename={"prev": "p", "number": "n", "epoch": "e", "kind": "k"}):
    """An entry.

    prev: the id of the valid one before it. number: counts valid ones. epoch: rises with each `own`, see `loss`.
    commands: those that have changed by it, as they are after it. answers: of a `short` one, how many it stands for.
    """

    id: str
    prev: str
    number: int
    state: State
    kind: Kind = "up"
    epoch: int = 0
    up: Accepted | None = None
    down: Down | None = None
    commands: tuple[Queued, ...] = ()
    told: tuple[Told, ...] = ()
    answers: int = 0


def new_id() -> str:
    """Return 96 random bits."""
    return secrets.token_hex(12)


def after(
    last: Entry | None,
    id_: str,
    state: State,
    kind: Kind = "up",
    up: Accepted | None = None,
    down: Down | None = None,
    commands: tuple[Queued, ...] = (),
    told: tuple[Told, ...] = (),
) -> Entry:
    """Return the entry that follows the last valid one. state: with the counter that `down` has taken."""
    prev, number, epoch = (last.id, last.number + 1, last.epoch) if last else (FIRST, 1, 0)
    epoch += kind == "own"
    return Entry(id_, prev, number, state, kind, epoch, up, down, commands, told)


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Entry).decode
