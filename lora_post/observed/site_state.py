"""Hold what was heard since the start: every device with its sensors, the latest frames, the refusals.

Bounded whatever is sent: devices are those of the configuration, everything else is cut to a number.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection, Iterable
from itertools import takewhile
from threading import Lock
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from lora_post.clocks.steady import SteadyClock
from lora_post.errors import Problem, Repeat
from lora_post.model import Device, Frame, Link, Noise, Reading, RxInfo, address_text
from lora_post.observed.device_state import MAX_TEXT, DeviceState
from lora_post.observed.device_view import DeviceView
from lora_post.text import shorten
from lora_post.times import NEVER, SteadyUs
from lora_post.uplink.join_state import Join
from lora_post.uplink.model import Copy, Refusal, Report
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.outcome_json import outcome_json
from lora_post.uplink.senders import claimed_sender

MAX_RECENT: Final = 60
MAX_LOG: Final = 500  # 300 kB
MAX_REFUSALS: Final = 40


class Entry(Struct, frozen=True, gc=False):
    """One frame. device: None for a refused one. said: why it has no values.

    address: of a refused one, as it claims. check: that refused it, "" for an accepted one. payload: the clear bytes
    of an accepted one, else all that were on air.
    """

    number: int
    time_us: SteadyUs
    device: str | None
    said: str
    gateway: str
    rx: RxInfo
    address: str = ""
    check: str = ""
    fcnt: int | None = None
    fport: int | None = None
    payload: bytes = b""
    readings: tuple[Reading, ...] = ()

    @property
    def text(self) -> str:
        """Return its values, or why it has none; made when it is asked for."""
        return shorten(", ".join(map(_words, self.readings)) or self.said, MAX_TEXT)


class Refused(Struct, frozen=True):
    """Frames refused for one reason from one address. fix: what to do about it, whole, "" for nothing.

    rx: how the last one was heard.
    """

    check: str
    address: str
    count: int
    last_us: SteadyUs
    detail: str
    fix: str
    rx: RxInfo = RxInfo()


class SiteState:
    """What the outcomes of the pipeline add up to; shared between threads."""

    def __init__(self, devices: Iterable[Device], clock: SteadyClock | None = None) -> None:
        """clock: by which everything here has its times.

        used_at: the version at which other devices were shown last; who knows an earlier one asks for everything.
        """
        self.clock = clock or SteadyClock()
        self._lock = Lock()
        self._joined: dict[str, DeviceState] = {}
        self._devices: dict[str, DeviceState] = {}
        self._by_change: dict[str, DeviceState] = {}  # the one that changed last at the end
        self._by_address: dict[str, list[DeviceState]] = {}
        self._refused: OrderedDict[tuple[str, str], Refused] = OrderedDict()
        self._take(devices)
        self._log: deque[Entry] = deque(maxlen=MAX_LOG)
        self._changes = 0
        self.used_at = 0
        self.last_frame_us = NEVER

    def use(self, devices: Iterable[Device]) -> None:
        """Show these devices, in this order; what is known of those that stay is kept.

        Nothing that was wrong is held against one that is another now, as its keys or its decoder were corrected.
        """
        with self._lock:
            self._take(devices)
            self._changes += 1
            self.used_at = self._changes

    def _take(self, devices: Iterable[Device]) -> None:
        known, self._devices, self._by_address = self._devices, {}, {}
        for place, device in enumerate(devices):
            state = self._devices[device.id] = known.get(device.id) or DeviceState(device)
            if device.id not in known or state.device != device:
                self._forget_trouble(state, device)
            state.use(device, place)
            self._by_address.setdefault(device.address_text, []).append(state)
        self._by_change = {id_: state for id_, state in self._by_change.items() if id_ in self._devices}
        self._joined = {where: state for where, state in self._joined.items() if state.device.id in self._devices}

    def _forget_trouble(self, state: DeviceState, device: Device) -> None:
        state.forget_trouble()
        for key in [key for key in self._refused if key[1] == device.address_text]:
            del self._refused[key]

    def forget_undecoded(self, decoders: Collection[str]) -> None:
        """Hold against no device that these decoders, which are others now, could not read it."""
        with self._lock:
            self._changes += 1
            for state in self._devices.values():
                used = {state.device.decoder, *state.device.decoder_by_fport.values()}
                if state.undecoded and not used.isdisjoint(decoders):
                    state.problem, state.undecoded = "", 0
                    self._note_change(state)

    @property
    def changes(self) -> int:
        """A number that grows with everything that is heard."""
        return self._changes

    def hear(self, outcome: Outcome) -> None:
        """Take in one outcome of the pipeline."""
        with self._lock:
            if isinstance(outcome, Report):
                self._changes += 1
                self._hear_uplink(outcome)
            elif isinstance(outcome, Refusal):
                self._changes += 1
                self._hear_refusal(outcome)
            elif isinstance(outcome, Copy):
                self._changes += 1
                self._hear_copy(outcome)
            elif isinstance(outcome, Join):
                self._changes += 1
                self._hear_join(outcome)
            else:
                assert isinstance(outcome, Noise)  # noqa: S101 - what is left

    def devices(self, since: int = -1) -> list[DeviceView]:
        """Return the devices that changed after `since`, in the order of the configuration."""
        with self._lock:
            states: Iterable[DeviceState] = self._devices.values()
            if since >= 0:
                changed = takewhile(lambda state: state.changed > since, reversed(self._by_change.values()))
                states = sorted(changed, key=lambda state: state.place)
            return [state.view() for state in states]

    def log(self, since: int = 0) -> list[Entry]:
        """Return the frames whose number is above `since`, oldest first; of those before the last MAX_LOG nothing."""
        with self._lock:
            return list(takewhile(lambda entry: entry.number > since, reversed(self._log)))[::-1]

    def recent(self, since: int = 0) -> list[Entry]:
        """Return the same, at most the last MAX_RECENT."""
        return self.log(since)[-MAX_RECENT:]

    def refused(self) -> list[Refused]:
        """Return what was refused, the latest first."""
        with self._lock:
            return list(reversed(self._refused.values()))

    def _note_change(self, state: DeviceState) -> None:
        state.note_change(self._changes)
        self._by_change.pop(state.device.id, None)
        self._by_change[state.device.id] = state

    def _hear_uplink(self, report: Report) -> None:
        uplink, frame = report.uplink, report.uplink.frame
        state = self._devices.get(uplink.device.id)
        if state is None:
            return
        self._note_change(state)
        times_us = [reading.measured_us(frame.time_us) for reading in report.readings]
        heard_us, *measured_us = self.clock.moments(frame.time_us, *times_us)
        state.hear(report, heard_us, measured_us)
        if uplink.device.root:
            self._note_joined(state, claimed_sender(frame))
        self._add(
            Entry(
                number=self._changes,
                time_us=heard_us,
                device=uplink.device.id,
                said=report.problem or "no readings",
                gateway=frame.gateway,
                rx=frame.rx,
                fcnt=uplink.fcnt,
                fport=uplink.fport,
                payload=uplink.payload,
                readings=tuple(report.readings[:12]),
            )
        )

    def _hear_copy(self, copy: Copy) -> None:
        state = self._devices.get(copy.uplink.device.id)
        if state is not None:
            self._note_change(state)
            state.copies[copy.frame.gateway] = copy.frame.rx  # the pipeline bounds how many there are

    def _hear_join(self, join: Join) -> None:
        state = self._devices.get(join.device.id)
        if state is not None and join.dev_addr is not None:
            self._note_joined(state, address_text(Link.LORAWAN, join.dev_addr))
        self._add(self._entry(join.frame, join.device.id, f"{join.message}: {join.detail}"))

    def _note_joined(self, state: DeviceState, address: str) -> None:
        """Note the address that a join gave a device."""
        if state.joined != address:
            self._joined.pop(state.joined, None)
            state.joined = address
            self._joined[address] = state

    def _hear_refusal(self, refusal: Refusal) -> None:
        claimed = outcome_json(refusal)
        address = claimed["address"] or ""
        key = (refusal.check, address)
        known = self._refused.pop(key, None)
        count = known.count + 1 if known else 1
        entry = replace(
            self._entry(refusal.frame, None, f"{refusal.check}: {refusal.detail}"),
            address=address,
            check=refusal.check,
            fcnt=claimed["fcnt"],
            fport=claimed["fport"],
            payload=refusal.frame.phy_payload,
        )
        detail = shorten(refusal.detail, MAX_TEXT)
        self._refused[key] = Refused(refusal.check, address, count, entry.time_us, detail, refusal.fix, entry.rx)
        if len(self._refused) > MAX_REFUSALS:
            self._refused.popitem(last=False)
        self._add(entry)
        if refusal.check == Repeat.check:
            return
        for state in self._meant(refusal, address):
            self._note_change(state)
            state.refused += 1
            state.refusal = Problem(f"{refusal.check}: {shorten(refusal.detail, MAX_TEXT)}", refusal.fix)

    def _meant(self, refusal: Refusal, address: str) -> list[DeviceState]:
        """Return the devices in whose name a refused frame came."""
        if refusal.known:
            return [self._devices[refusal.known]] if refusal.known in self._devices else []
        joined = self._joined.get(address)
        return self._by_address.get(address, []) + ([joined] if joined else [])

    def _entry(self, frame: Frame, device: str | None, text: str) -> Entry:
        time_us = self.clock.moment(frame.time_us)
        return Entry(self._changes, time_us, device, text, frame.gateway, frame.rx)

    def _add(self, entry: Entry) -> None:
        self.last_frame_us = max(self.last_frame_us, entry.time_us)
        self._log.append(entry)


def _words(reading: Reading) -> str:
    value = str(reading.value).lower() if isinstance(reading.value, bool) else reading.value
    return f"{reading.name} {value} {reading.unit}".strip()
