"""A pipeline that answers devices, with a real spool, and what its gateway was given to send."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from lora_post.clocks.gateway import Times
from lora_post.command import Command, Moment
from lora_post.downlink.class_c import ClassC
from lora_post.downlink.command_frames import CommandFrames
from lora_post.downlink.commands import Commands
from lora_post.downlink.duty_cycle import DutyCycle
from lora_post.downlink.join_server import JoinServer
from lora_post.downlink.mac_layer import MacLayer
from lora_post.downlink.network import Network
from lora_post.downlink.network_server import NetworkServer
from lora_post.downlink.transmit import Downlink, Station, Transmission
from lora_post.downlink.uplink_answers import UplinkAnswers
from lora_post.lorawan.region import load_region
from lora_post.lorawan.root_keys import RootKeys
from lora_post.metrics import Metrics
from lora_post.model import Device, Frame, RxInfo
from lora_post.run.choosing import Choosing
from lora_post.run.pipeline import Pipeline
from lora_post.spool import downlinks
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import StampUs
from lora_post.uplink.join_state import Join
from lora_post.uplink.model import Copy, Refusal, Report
from lora_post.uplink.outcome import Outcome
from tests.support.build import NOON_US, device
from tests.support.forwarder import JoiningDevice

EU868 = Network(load_region("EU868"), 0, 5)
US915 = Network(load_region("US915"), 0, 1)


class Gateway:
    """What transmits, and what it was given."""

    def __init__(self, *, many_channels: bool = True, asks: bool = True) -> None:
        self.now = Station(many_channels) if asks else None
        self.others: dict[str, Station | None] = {}
        self.sent: list[Downlink] = []
        self.is_awaited = False

    @property
    def transmitter(self) -> Gateway:
        return self

    def station(self, gateway: str) -> Station | None:
        return self.others.get(gateway, self.now)

    def send(self, downlink: Downlink) -> None:
        self.sent.append(downlink)


class Site:
    """A pipeline that answers joins."""

    def __init__(self, path: Path, *devices: Device, network: Network = EU868, dev_addr: int | None = None) -> None:
        self.store = SpoolFile(path)
        self.devices, self.network, self.dev_addr = devices, network, dev_addr
        self.gateway = Gateway()
        self.is_held = False
        self.held: list[tuple[float, Callable[[], None]]] = []
        self.time_us: StampUs = NOON_US  # type: ignore[assignment]
        self.outcome: Outcome | None = None
        self.draws = iter(range(0x1000, 0x2000))
        self.metrics = Metrics()
        self.start()

    def start(self) -> None:
        ledger = SpoolLedger(self.store, self.devices, QueueWriter(self.store, ["waziup"], 1 << 30))
        self.duty_cycle = duty_cycle = DutyCycle(self.network.region)
        joins = JoinServer(self.network, duty_cycle, self._draw)
        commands = Commands(self.now, self.metrics, lambda: self.time_us)
        frames = CommandFrames(commands, duty_cycle)
        mac_layer = MacLayer(self.network)
        class_c = ClassC(self.network, frames, mac_layer, lambda: self.time_us / 1e6)
        uplinks = UplinkAnswers(self.network, frames, class_c, mac_layer)
        server = NetworkServer(joins, uplinks, class_c, commands, duty_cycle)
        choosing = Choosing(duty_cycle, lambda: self.time_us / 1e6, self.later)
        pipeline = Pipeline(
            ledger, lambda uplink: Report(uplink, ()), self.metrics, self._hear, server=server, choosing=choosing
        )
        self.pipeline = pipeline.taking(Times.RECORDED, self.gateway)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do what is to be done in a moment: at once, or when `go_on` says so."""
        if self.is_held:
            self.held.append((seconds, action))
        else:
            action()

    def go_on(self) -> None:
        """Do what was held."""
        while self.held:
            self.held.pop(0)[1]()

    def now(self) -> Moment:
        """The time by this site, as if the machine had been started in 1970."""
        return Moment(self.time_us, "this boot", self.time_us)

    def queue(self, device: str = "pond-7", payload: bytes = b"on", **changes: object) -> int:
        """Queue a command; return its number."""
        fields: dict[str, object] = {"device": device, "fport": 7, "payload": payload, "made": self.now()}
        with closing(SpoolFile(self.store.path)) as other, other.transaction() as db:
            return downlinks.add(db, Command(**(fields | changes)), self.now()).id  # type: ignore[arg-type]

    def command(self, number: int) -> Command:
        """The command, as it is kept."""
        with closing(SpoolFile(self.store.path)) as other:
            found = downlinks.find(other, number)
        assert found
        return found

    def wait(self, seconds: float) -> None:
        """Let time pass, and have what waits looked after."""
        self.time_us += round(seconds * 1e6)
        self.pipeline.tend()

    def tell(self, downlink: Downlink, *, is_sent: bool | None = True, window: str = "RX1", why: str = "") -> None:
        """Have the gateway say what became of a frame."""
        downlink.tell(Transmission(downlink.gateway, window, is_sent, why))
        self.pipeline.tend()

    def _draw(self, below: int) -> int:
        return next(self.draws) if self.dev_addr is None else self.dev_addr

    def _hear(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def hear(
        self,
        phy: bytes,
        *,
        tmst: int | None = 1_000_000,
        freq: float = 868.1,
        after_us: int = 60_000_000,
        gateway: str = "gw1",
        snr: float | None = 8.0,
    ) -> str:
        """Let a frame come in; return what became of it in a word."""
        self.time_us += after_us
        rx = RxInfo(-60, snr, 10 if self.network is US915 else 7, 125.0, "4/5", freq)
        self.pipeline.handle([Frame(gateway, self.time_us, phy, rx, tmst=tmst)])
        if isinstance(self.outcome, Join):
            return self.outcome.message
        if isinstance(self.outcome, Copy):
            return "copied"
        assert isinstance(self.outcome, (Report, Refusal))
        return self.outcome.check if isinstance(self.outcome, Refusal) else "uplink"

    @property
    def detail(self) -> str:
        assert isinstance(self.outcome, (Join, Refusal))
        return self.outcome.detail

    def join(self, end: JoiningDevice) -> Downlink:
        """Let a device join; return what it was sent."""
        assert self.hear(end.request()) == "join-request"
        downlink = self.gateway.sent[-1]
        end.hear({"data": b64encode(downlink.phy_payload), "ipol": True, "size": len(downlink.phy_payload)})
        return downlink


def otaa(root: RootKeys, id_: str = "buoy", **changes: object) -> Device:
    return device(id_, address=None, keys=None, root=root, **changes)
