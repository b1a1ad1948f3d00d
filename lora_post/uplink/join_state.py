"""What is known of devices that join (OTAA)."""

from __future__ import annotations

from msgspec import Struct

from lora_post.model import Device, Frame
from lora_post.times import StampUs, WallUs


class JoinedSession(Struct, frozen=True):
    """What a join gave a device. keys: two of LoRaWAN 1.0, or four of 1.1, see `session_keys`.

    rx_delay_s: from the end of an uplink to RX1; 0 in a session of another network, which is not answered.
    """

    dev_addr: int
    keys: tuple[bytes, ...]
    rx_delay_s: int = 0

    def __repr__(self) -> str:
        return f"JoinedSession({self.dev_addr:08x})"


class JoinState(Struct, frozen=True):
    """What was heard of a device's joins; of everything the newest last.

    dev_nonces, join_nonces: the latest of its requests and of the answers, so that neither counts twice.
    asked_us: when the last request was heard. sessions: those that its uplinks may come in; first those that are
    `proved`, as an uplink came in them. older_nonces: the DevNonces before those, a bit for each, or nothing.
    join_nonce: of the last join-accept that was sent from here. answer: that join-accept, b"" where the last request
    was not answered from here.
    """

    dev_nonces: tuple[int, ...] = ()
    join_nonces: tuple[int, ...] = ()
    asked_us: StampUs = WallUs(0)
    sessions: tuple[JoinedSession, ...] = ()
    proved: tuple[JoinedSession, ...] = ()
    older_nonces: bytes = b""
    join_nonce: int = 0
    answer: bytes = b""


class Joiner(Struct, frozen=True):
    """A device that joins, and what was heard of its joins."""

    device: Device
    state: JoinState = JoinState()


class Join(Struct, frozen=True):
    """An authentic message of a device's join.

    message: "join-request", "join-accept", or "copy" of a request. detail: what it says, without secrets.
    dev_addr: what the join-accept gives the device, heard or sent.
    """

    frame: Frame
    device: Device
    message: str
    detail: str
    dev_addr: int | None = None
