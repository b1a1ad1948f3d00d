"""Show the state of a fleet, and which gateways hear which devices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Event
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from lora_post.clocks.scale import utc_text
from lora_post.fleet.errors import UNREADABLE, FleetError
from lora_post.fleet.gateway.publisher import GatewayState
from lora_post.fleet.home.owners import Owned, owner_lines, owners
from lora_post.fleet.hub.link import Link
from lora_post.fleet.hub.subjects import PARTS, id_of, token
from lora_post.fleet.log import hub_state
from lora_post.fleet.log.entry import Entry, Reception
from lora_post.fleet.log.nats_log import NatsLog
from lora_post.fleet.log.place import newest_entries
from lora_post.fleet.log.streams import LOG, RAW
from lora_post.fleet.uploader.turns import Turn, Turns
from lora_post.fleet.worker.worker import WorkerState
from lora_post.spool.spool_file import SpoolFile
from lora_post.text import plural, wait_text
from lora_post.times import WallUs

LOOK_S: Final = 30.0
T = TypeVar("T")


class Hearing(Struct, frozen=True):
    """Which gateways heard the newest uplink of a device, the best first."""

    device: str
    heard_by: tuple[Reception, ...]


class FleetStatus(Struct, frozen=True):
    """gateways, workers: as they said last. holders: of partitions, by number, "" for nobody.

    under_way: raw frames that are not decided. entries: in the log. last: the position of the newest. read: how far
    uploaders have read, by name. hearings: of the devices that the spool knows. owned: who decides about them.
    """

    gateways: tuple[GatewayState, ...]
    workers: tuple[WorkerState, ...]
    holders: tuple[str, ...]
    under_way: int
    entries: int
    last: int
    read: dict[str, int]
    hearings: tuple[Hearing, ...] = ()
    turn: str = ""
    owned: tuple[Owned, ...] = ()

    @property
    def lines(self) -> list[str]:
        """Return it in words, a line each."""
        return [*self._gateway_lines(), *owner_lines(self.owned), *self._worker_lines(), *self._log_lines()]

    def _gateway_lines(self) -> Iterator[str]:
        heard = Counter(each.gateway for hearing in self.hearings for each in hearing.heard_by)
        alone = Counter(hearing.heard_by[0].gateway for hearing in self.hearings if len(hearing.heard_by) == 1)
        trips = {gateway: ms for worker in self.workers for gateway, ms in worker.trips_ms.items()}
        for each in self.gateways:
            facts = [wait_text(each.waiting, "frame") if each.waiting else "nothing waits"]
            if each.oldest_us is not None:
                facts.append(f"the oldest of {utc_text(WallUs(each.oldest_us))[:19]}Z")
            if each.round_trip_ms is not None:
                facts.append(f"{each.round_trip_ms:g} ms to the hub and back")
            if each.gateway in trips:
                facts.append(f"answers asked of it in {trips[each.gateway]:g} ms")
            if self.hearings:
                count = heard[each.gateway]
                facts.append(f"hears {plural(count, 'device')}, {alone[each.gateway]} alone")
            yield f"gateway {each.gateway}: {', '.join(facts)}, lora-post {each.version}"

    def _worker_lines(self) -> Iterator[str]:
        held = Counter(self.holders)
        nobody = held.pop("", 0)
        said = {each.name: each for each in self.workers}
        for name, count in sorted(held.items()):
            worker = said.get(name, WorkerState(name))
            did = f"{plural(worker.accepted, 'uplink')} accepted, {worker.void} void"
            did += f", {plural(worker.refused, 'downlink')} not sent" if worker.refused else ""
            yield f"worker {name}: {count} of {len(self.holders)} partitions, {did}"
        if nobody:
            yield f"nobody: {nobody} of {len(self.holders)} partitions; is a worker running?"

    def _log_lines(self) -> Iterator[str]:
        yield f"frames under way: {self.under_way}; entries in the log: {self.entries}"
        for name, position in sorted(self.read.items()):
            waits = "" if self.turn in ("", name) else f"; waits while uploader {id_of(self.turn)} has its turn"
            yield f"uploader {name}: {plural(self.last - position, 'entry')} behind, within a minute{waits}"


def look(link: Link, spool_file: SpoolFile | None = None) -> FleetStatus:
    """Ask the hub. spool_file: where an uploader or worker remembers entries. Raises FleetError, SpoolError."""
    leases = {each.subject: each.data.decode("utf-8", "replace") for each in hub_state.read_state(link, "lease.*")}
    read = {each.subject[4:]: int(each.data) for each in hub_state.read_state(link, "pos.*") if each.data.isdigit()}
    raw, log = (link.call(link.client.jetstream().stream_info(name)).state for name in (RAW, LOG))
    gateways = _states(link, "gw.*.state", GatewayState)
    return FleetStatus(
        tuple(sorted(gateways, key=lambda state: state.gateway)),
        tuple(_states(link, "worker.*", WorkerState)),
        tuple(leases.get(f"lease.{part}", "") for part in range(PARTS)),
        int(raw.messages),
        int(log.messages),
        int(log.last_seq),
        read,
        tuple(hearings(spool_file)) if spool_file else (),
        _turn(link),
        tuple(owners(_newest(spool_file))) if spool_file else (),
    )


def _turn(link: Link) -> str:
    turns = Turns(Turn("", ""))
    turns.read(NatsLog(link))
    return token(turns.last.name)


def _states(link: Link, subjects: str, kind: type[T]) -> Iterable[T]:
    """Yield what gateways or workers said of themselves."""
    for each in hub_state.read_state(link, subjects):
        try:
            yield msgspec.json.decode(each.data, type=kind)
        except UNREADABLE:  # who may write there may write anything
            continue


def hearings(spool_file: SpoolFile) -> Iterator[Hearing]:
    """Yield which gateways hear the devices that the spool knows; of those whose newest entry is an uplink."""
    for entry in _newest(spool_file).values():
        if entry.up:
            best = sorted(entry.up.heard_by, key=lambda each: each.snr_db or -99.0, reverse=True)
            yield Hearing(entry.up.device, tuple(best))


def _newest(spool_file: SpoolFile) -> dict[str, Entry]:
    with spool_file.transaction() as db:
        return newest_entries(db)


class Watch:
    """Looks at the fleet now and then. `run` is its thread."""

    def __init__(self, link: Link, spool_file: SpoolFile) -> None:
        """spool_file: a connection that only this thread uses."""
        self._link = link
        self._spool_file = spool_file
        self.lines: Sequence[str] = ()

    def run(self, stop: Event, beat: Callable[[], None]) -> None:
        """Look until `stop`. beat: called at least once in a minute."""
        while not stop.is_set():
            beat()
            try:
                self.lines = look(self._link, self._spool_file).lines
            except FleetError:
                self.lines = ()
            stop.wait(LOOK_S)
