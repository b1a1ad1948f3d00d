"""What is known of devices that join (OTAA)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from lora_post.model import Device, Frame
from lora_post.times import StampUs, WallUs


class JoinedSession(Struct, frozen=True):
    """What a join gave a device. keys: two of LoRaWAN 1.0, or four of 1.1, see `session_keys`.

    rx_delay_s: from the end of an uplink to RX1; 0 in a session of another network, which is not answered. cf_list: the
    channels that it gave, b"" for none. is_repeated: its request had a DevNonce that was heard before, as a recorded
    one has.
    """

    dev_addr: int
    keys: tuple[bytes, ...]
    rx_delay_s: int = 0
    cf_list: bytes = b""
    is_repeated: bool = False

    def __repr__(self) -> str:
        return f"JoinedSession({self.dev_addr:08x})"


class JoinState(Struct, frozen=True):
    """What was heard of a device's joins; of everything the newest last.

    dev_nonces, join_nonces: the latest of its requests and of the answers, so that neither counts twice.
    asked_us: when the last request was heard. sessions: those that its uplinks may come in; first those that are
    `proved`, as an uplink came in them. older_nonces: the DevNonces before those, a bit for each, or nothing.
    join_nonce: of the last join-accept that was sent from here. answer: that join-accept, b"" where the last request
    was not answered from here. rejoins: DevAddr and the last counter of rejoin-requests, of sessions that go on.
    rejoin_answer: the join-accept that answered the last of them.
    """

    dev_nonces: tuple[int, ...] = ()
    join_nonces: tuple[int, ...] = ()
    asked_us: StampUs = WallUs(0)
    sessions: tuple[JoinedSession, ...] = ()
    proved: tuple[JoinedSession, ...] = ()
    older_nonces: bytes = b""
    join_nonce: int = 0
    answer: bytes = b""
    rejoins: tuple[tuple[int, int], ...] = ()
    rejoin_answer: bytes = b""


class Joiner(Struct, frozen=True):
    """A device that joins, and what was heard of its joins."""

    device: Device
    state: JoinState = JoinState()


class Joiners(Mapping[int, Joiner]):
    """The devices that join, by DevEUI; those that asked at some time are found without a look at all."""

    def __init__(self, joiners: Iterable[Joiner] = ()) -> None:
        self._by_eui: dict[int, Joiner] = {}
        self._asked: list[tuple[StampUs, int]] = []
        for joiner in joiners:
            self.put(joiner)

    def put(self, joiner: Joiner) -> None:
        """Add a device, or what is new of it."""
        if joiner.device.root is None:
            return
        dev_eui = joiner.device.root.dev_eui
        before = self._by_eui.get(dev_eui)
        if before is not None and before.state.dev_nonces:
            del self._asked[bisect_left(self._asked, (before.state.asked_us, dev_eui))]
        self._by_eui[dev_eui] = joiner
        if joiner.state.dev_nonces:
            insort(self._asked, (joiner.state.asked_us, dev_eui))

    def asked_around(self, time_us: StampUs, window_us: int) -> Iterator[Joiner]:
        """Yield the devices whose last request was heard within window_us of a time, the last one first."""
        first = bisect_left(self._asked, (time_us - window_us, 0))
        for _, dev_eui in reversed(self._asked[first : bisect_right(self._asked, (time_us + window_us, 1 << 64))]):
            yield self._by_eui[dev_eui]

    def __getitem__(self, dev_eui: int) -> Joiner:
        return self._by_eui[dev_eui]

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_eui)

    def __len__(self) -> int:
        return len(self._by_eui)


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
