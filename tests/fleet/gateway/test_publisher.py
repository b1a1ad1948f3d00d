"""The gateway's part: its own spool first, then the hub."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from msgspec.structs import replace

from lora_post.clocks.gateway import GatewayClock, Times
from lora_post.clocks.system import SystemClock
from lora_post.config.fleet import FleetConfig, Role
from lora_post.fleet.gateway.frame_keeper import FrameKeeper, Room
from lora_post.fleet.gateway.publisher import Patience, Publisher
from lora_post.fleet.hub.link import Link
from lora_post.fleet.hub.raw import OfferAgain, OfferWaiting, Raw, Settled, decode_handed, encode, hand_in
from lora_post.fleet.hub.subjects import TO_ALL, hub_subject
from lora_post.fleet.log.streams import ensure_streams
from lora_post.metrics import Metrics
from lora_post.model import Frame, RxInfo
from lora_post.spool import frames
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import WallUs
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.unlock import seal_lorawan
from tests.support.command import PATIENCE_S, dev_addr, keys
from tests.support.nats_servers import Nodes, nats_servers

SOON = Patience(again_s=1.0, settle_s=0.1, look_s=0.1, live_s=0.5)
HUB = FleetConfig(("nats://127.0.0.1:1",), frozenset({Role.GATEWAY}))
PLENTY = Room(1 << 30, "drop-oldest")


def frame(fcnt: int) -> Frame:
    return Frame("gw1", SystemClock().wall_us(), seal_lorawan(keys(1), dev_addr(1), fcnt, 2, b"x"), RxInfo(-90.0))


class Gateway:
    """A gateway's spool with what puts frames in. outcomes: of what is not kept."""

    def __init__(self, folder: Path, room: Room = PLENTY) -> None:
        self.path = folder / "gateway.db"
        self.file = SpoolFile(self.path)
        self.numbers: list[int] = []
        self.outcomes: list[Outcome] = []
        self.publisher: Publisher | None = None
        clock = GatewayClock(SystemClock())
        self.clock = clock
        keeper = FrameKeeper(self.file, "gw1", room, clock, Metrics(), self.outcomes.append, self._arrived)
        self.keeper = keeper.taking(Times.LIVE)

    def _arrived(self, numbers: object) -> None:
        self.numbers += numbers  # type: ignore[operator]
        if self.publisher:
            self.publisher.arrived(numbers)  # type: ignore[arg-type]

    def hear(self, *fcnts: int) -> None:
        self.keeper.handle([frame(fcnt) for fcnt in fcnts])

    @contextmanager
    def publishing(self, nodes: Nodes, patience: Patience = SOON) -> Iterator[Link]:
        """Publish as long as the block runs."""
        stop = Event()
        with ExitStack() as stack:
            link = stack.enter_context(closing(Link(replace(HUB, servers=tuple(nodes.urls)), "gw1")))
            own = stack.enter_context(closing(SpoolFile(self.path)))
            self.publisher = Publisher(link, own, "gw1", self.clock, "1", patience)
            thread = Thread(target=self.publisher.run, args=(stop, lambda: None))
            thread.start()
            try:
                yield link
            finally:
                stop.set()
                thread.join()
                self.publisher = None


def test_what_waits_for_a_home_gateway_is_published_when_that_is_back(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    with closing(Link(HUB, "gw1")) as link:
        publisher = Publisher(link, gateway.file, "gw1", gateway.clock, "1", SOON)
        gateway.hear(1, 2, 3)
        publisher._offers = {number: 9 for number in gateway.numbers}  # it was published so often
        publisher._due = [(time.monotonic() + 1e6, number) for number in gateway.numbers]
        found = []
        for _ in range(2):  # two workers say so
            publisher._obey(encode(OfferWaiting()))
            while each := publisher._next_of_backlog(time.monotonic()):
                found.append(each.number)
        assert found == gateway.numbers


def test_frame_whose_second_offer_fails_is_offered_again(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    with closing(Link(HUB, "gw1")) as link:
        publisher = Publisher(link, gateway.file, "gw1", gateway.clock, "1", SOON)
        gateway.hear(1)
        done: Future[int] = Future()
        done.set_result(1)
        failed: Future[int] = Future()
        failed.set_exception(TimeoutError())
        for answer in (done, failed, failed, done):
            ((found, _),) = publisher._choose(time.monotonic() + SOON.again_s)
            publisher._landed([found.number], answer)
        assert publisher._choose(time.monotonic()) == []  # it is at the hub


@contextmanager
def hub(nodes: Nodes) -> Iterator[Link]:
    with closing(Link(replace(HUB, servers=tuple(nodes.urls)), "hub")) as link:
        assert link.wait(PATIENCE_S)
        ensure_streams(link, nodes.replicas, may_make_log=True)
        yield link


def take(link: Link, count: int) -> list[Raw]:
    """Take so many raw frames off the hub, whatever their partition."""
    return [raw for _, raw in take_with_stores(link, count)]


def take_with_stores(link: Link, count: int) -> list[tuple[str, Raw]]:
    async def fetch() -> list[tuple[str, Raw]]:
        stream = link.client.jetstream()
        found: list[tuple[str, Raw]] = []
        while len(found) < count:
            for number in range(1, (await stream.stream_info("LP_RAW")).state.last_seq + 1):
                try:
                    message = await stream.get_msg("LP_RAW", seq=number)
                except Exception:  # taken before
                    continue
                await stream.delete_msg("LP_RAW", number)
                handed = decode_handed(message.data)
                found += [(handed.store, raw) for raw in handed.frames]
        return found

    return link.call(fetch(), PATIENCE_S)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.long
def test_frame_is_kept_published_and_removed_only_when_the_hub_is_done(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    patience = replace(SOON, live_s=PATIENCE_S)
    with nats_servers(tmp_path) as nodes, hub(nodes) as link, gateway.publishing(nodes, patience):
        gateway.hear(1, 2)
        (store, first), (_, second) = take_with_stores(link, 2)[:2]
        assert (first.number, second.number) == (1, 2)
        assert not first.kept
        assert frames.counts(gateway.file).waiting == 2
        again = take(link, 2)  # nobody settled them
        assert {(raw.number, raw.kept) for raw in again} == {(1, True), (2, True)}
        link.say(hub_subject("gw1"), encode(Settled("another", (1, 2))))
        link.say(hub_subject("gw1"), encode(Settled(store, (1,))))
        until(lambda: frames.counts(gateway.file).waiting == 1)
        assert frames.counts(gateway.file).settled == 1  # for a day, in case the hub is restored from a backup
        link.say(TO_ALL, encode(OfferAgain()))
        assert {1} <= {raw.number for raw in take(link, 2)}


@pytest.mark.long
def test_backlog_of_a_dead_link_goes_behind_live_frames(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    gateway.hear(*range(200))
    with nats_servers(tmp_path) as nodes:
        with hub(nodes):
            pass
        nodes.kill(0)
        with gateway.publishing(nodes, Patience(in_flight=4, live_s=PATIENCE_S)):
            gateway.hear(*range(200, 220))
            nodes.start(0)
            nodes.wait(0)
            with hub(nodes) as link:
                raws = take(link, 220)
    assert sorted(raw.number for raw in raws) == list(range(1, 221))
    assert {raw.number for raw in raws if raw.kept} >= set(range(1, 201))
    live = [place for place, raw in enumerate(raws) if not raw.kept]
    assert len(live) == 20 and live[-1] < 219


@pytest.mark.long
def test_two_gateways_under_one_name_do_not_cost_each_other_a_frame(tmp_path: Path) -> None:
    """Each counts its frames from 1; the hub must not take one for the other's."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first, second = Gateway(tmp_path / "a"), Gateway(tmp_path / "b")
    with nats_servers(tmp_path) as nodes, hub(nodes) as link:
        with first.publishing(nodes), second.publishing(nodes):
            first.hear(1, 2)
            second.hear(3, 4)
            raws = take_with_stores(link, 4)
        assert len({(store, raw.number) for store, raw in raws}) == 4


@pytest.mark.long
def test_hub_that_comes_and_goes(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    with nats_servers(tmp_path) as nodes:
        with hub(nodes):
            pass
        with gateway.publishing(nodes) as own:
            assert own.wait(PATIENCE_S)
            nodes.kill(0)
            gateway.hear(*range(50))
            time.sleep(0.7)
            nodes.start(0)
            nodes.wait(0)
            with hub(nodes) as link:
                assert {raw.number for raw in take(link, 50)} == set(range(1, 51))


@pytest.mark.long
def test_hub_that_takes_nothing_is_not_asked_all_the_time(tmp_path: Path) -> None:
    """Before the first worker has made the streams, or while they are full."""
    gateway = Gateway(tmp_path)
    with nats_servers(tmp_path) as nodes, gateway.publishing(nodes) as own:
        assert own.wait(PATIENCE_S)
        gateway.hear(*range(100))
        until(lambda: gateway.publisher is not None and gateway.publisher.trouble is not None)
        before, began = own.client.stats["out_msgs"], time.monotonic()
        time.sleep(1)
        assert own.client.stats["out_msgs"] - before < 20 * SOON.in_flight * (time.monotonic() - began)
        with hub(nodes) as link:
            assert {raw.number for raw in take(link, 100)} == set(range(1, 101))


def test_gateway_without_a_link_does_not_turn_in_circles(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    with closing(Link(HUB, "gw1")) as link:  # nothing listens there
        gateway.publisher = Publisher(link, gateway.file, "gw1", gateway.clock, "1", SOON)
        gateway.hear(1)
        gateway.publisher._wait()  # for the frame, which is there
        began = time.monotonic()
        gateway.publisher._wait()
        assert time.monotonic() - began >= SOON.look_s


def test_number_is_not_given_out_again(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    gateway.hear(1, 2)
    with gateway.file.transaction() as db:
        frames.settle(db, [1, 2])
        frames.forget_old(db, WallUs(gateway.clock.wall_us() + 2 * frames.KEEP_US))
    gateway.hear(3)
    assert gateway.numbers == [1, 2, 3]


def test_what_goes_when_the_spool_is_full(tmp_path: Path) -> None:
    for when_full, lost in (("drop-oldest", 1), ("drop-newest", 2)):
        folder = tmp_path / when_full
        folder.mkdir()
        gateway = Gateway(folder, Room(200_000, when_full))  # type: ignore[arg-type]
        for start in range(0, 2000, 100):
            gateway.hear(*range(start, start + 100))
        numbers = [each.number for each in frames.waiting(gateway.file, 0, 5000)]
        assert gateway.file.used_bytes() <= 200_000
        assert 0 < len(numbers) < 2000
        assert (numbers[0] > 1) == (lost == 1)
        with gateway.file.transaction() as db:
            frames.settle(db, numbers)
        gateway.hear(9999)
        assert [each.number for each in frames.waiting(gateway.file, 0, 9)] == [numbers[-1] + 1]


def test_what_no_device_sends_is_not_kept(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    downlink = replace(frame(1), phy_payload=b"\x60" + frame(1).phy_payload[1:])
    gateway.keeper.handle([downlink, replace(downlink, phy_payload=b"")])
    assert [getattr(each, "check", "") for each in gateway.outcomes] == ["frame", "frame"]
    assert frames.counts(gateway.file).waiting == 0


def test_frame_takes_few_bytes_on_the_link() -> None:
    raw = Raw.of(frame(1), 1, "gw1", kept=True, age_us=7_000_000)
    assert decode_handed(hand_in("0f1e2d3c", [raw, raw])).frames == (raw, raw)
    assert len(hand_in("0f1e2d3c", [raw])) < 80
