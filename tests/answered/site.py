"""One region's gateway: the real pipeline and spool by a clock that a run sets, two antennas, and devices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from random import Random

from msgspec import Struct
from msgspec.structs import replace

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
from lora_post.downlink.settings import Settings
from lora_post.downlink.transmit import Downlink, Station, Transmission
from lora_post.downlink.uplink_answers import UplinkAnswers
from lora_post.lorawan.phy_payload import MType, message_type, parse_data_frame
from lora_post.lorawan.region import Region, load_region
from lora_post.metrics import Metrics
from lora_post.model import DeviceClass, Frame, Link, Reading, RxInfo
from lora_post.run.choosing import Choosing
from lora_post.run.pipeline import Pipeline
from lora_post.simulate.end_device import EndDevice, Radio, Sent
from lora_post.spool import downlinks, lanes
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.times import StampUs
from lora_post.uplink.model import Report, Uplink
from lora_post.uplink.outcome import Outcome
from tests.support.build import NOON_US
from tests.support.network_site import otaa

GATEWAYS = {"gw1": 123_456_789, "gw2": 4_000_000_000}
"""Each has a counter of its own: how far it is ahead of the devices' time, in µs."""
COUNTER = 1 << 32
TOO_LATE = 0.05
SILENT = 0.02


class Asked(Struct):
    """A command that a run gave, and how often its device got it."""

    device: str
    payload: bytes
    is_confirmed: bool
    number: int
    received: int = 0


class Site:
    """Devices of one region, and what answers them. now_us: the time of devices."""

    def __init__(self, path: Path, region: str, devices: dict[str, EndDevice], loss: float, random: Random) -> None:
        self.devices, self.now_us = devices, 0
        self.store = SpoolFile(path)
        self.metrics = Metrics()
        self.asked: list[Asked] = []
        self.bytes_by_counter: defaultdict[tuple[object, ...], set[bytes]] = defaultdict(set)
        self.accepted: list[tuple[str, int, bytes]] = []
        self.heard: set[tuple[str, bytes]] = set()
        self._networks = _networks(load_region(region))
        self._network = self._networks[0]
        self._strength = {name: random.uniform(-2, 14) for name in devices}
        self._loss, self._random = loss, random
        self._sent: Sent | None = None
        self.is_awaited = False
        self._on_air: list[tuple[int, Radio, bytes]] = []
        self._received: dict[str, int] = dict.fromkeys(devices, 0)
        self.start()

    def start(self) -> None:
        """Begin as after a kill: all that was in memory is gone; what [network] says may have changed."""
        self._network = self._random.choice(self._networks)
        devices = [
            replace(
                otaa(end.root, name),
                device_class=DeviceClass.C if end.is_class_c else DeviceClass.A,
                adr=True,
                dev_status_every_s=86_400.0,
            )
            for name, end in self.devices.items()
        ]
        self.ledger = ledger = SpoolLedger(self.store, devices, QueueWriter(self.store, ["waziup"], 1 << 40))
        duty_cycle = DutyCycle(self._network.region, lambda: self.now_us / 1e6)
        commands = Commands(self.now, self.metrics, lambda: StampUs(NOON_US + self.now_us))
        joins = JoinServer(self._network, duty_cycle, self._random.randrange)
        frames = CommandFrames(commands, duty_cycle)
        self.mac_layer = mac_layer = MacLayer(self._network)
        class_c = ClassC(self._network, frames, mac_layer, lambda: self.now_us / 1e6)
        uplinks = UplinkAnswers(self._network, frames, class_c, mac_layer)
        server = NetworkServer(joins, uplinks, class_c, commands, duty_cycle)
        self._later: list[Callable[[], None]] = []
        choosing = Choosing(duty_cycle, lambda: self.now_us / 1e6, lambda _, action: self._later.append(action))
        pipeline = Pipeline(ledger, _decode, self.metrics, self._hear_outcome, server=server, choosing=choosing)
        self.pipeline = pipeline.taking(Times.RECORDED, self)

    def now(self) -> Moment:
        return Moment(NOON_US + self.now_us, "this boot", self.now_us)

    def ask(self, device: str, payload: bytes, *, is_confirmed: bool) -> None:
        """Queue a command, as `lora-post downlink send` does beside a run."""
        command = Command(device, 7, payload, self.now(), is_confirmed=is_confirmed, life_s=6 * 3600.0)
        with closing(SpoolFile(self.store.path)) as other, other.transaction() as db:
            number = downlinks.add(db, command, self.now()).id
        self.asked.append(Asked(device, payload, is_confirmed, number))

    def turn(self, name: str) -> None:
        """Let a device send, and hear what is answered."""
        device = self.devices[name]
        sent = self._sent = device.send()
        self.now_us = sent.end_us
        frames = [self._frame(name, gateway, sent) for gateway in GATEWAYS if self._random.random() >= self._loss]
        for frame in frames:
            self.pipeline.handle([frame])
        while self._later:
            self._later.pop(0)()
        for at_us, radio, phy_payload in sorted(self._on_air, key=lambda each: each[0]):
            if self._random.random() >= self._loss:
                device.hear(at_us, radio, phy_payload)
        self._on_air.clear()
        self._sent = None
        device.close()
        self.pipeline.tend()
        self._note_received(name, device)

    def tend(self, now_us: int) -> list[str]:
        """Look at a moment between uplinks after what waits; return the devices that heard of it."""
        self.now_us = max(self.now_us, now_us)
        self.pipeline.tend()
        heard = []
        for at_us, radio, phy_payload in self._on_air:
            dev_addr = parse_data_frame(phy_payload).dev_addr
            name, device = next((n, each) for n, each in self.devices.items() if each.dev_addr == dev_addr)
            if self._random.random() >= self._loss:
                device.hear(at_us, radio, phy_payload)
                self._note_received(name, device)
                heard.append(name)
        self._on_air.clear()
        return heard

    def _frame(self, name: str, gateway: str, sent: Sent) -> Frame:
        if message_type(sent.phy_payload) not in (MType.JOIN_REQUEST, MType.REJOIN_REQUEST):
            self.heard.add((name, sent.phy_payload[:-4]))
        radio, told = sent.radio, self.devices[name].told
        snr = self._strength[name] + self._random.gauss(0, 1.5) - 2 * (told.power if told else 0)
        rx = RxInfo(-90, snr, radio.rate.sf, radio.rate.bw_hz / 1000, "4/5", radio.hz / 1e6)
        tmst = (sent.end_us + GATEWAYS[gateway]) % COUNTER
        return Frame(gateway, StampUs(NOON_US + sent.end_us), sent.phy_payload, rx, tmst=tmst)

    def _note_received(self, name: str, device: EndDevice) -> None:
        for got in device.received[self._received[name] :]:
            for asked in self.asked:
                if (asked.device, asked.payload) == (name, got.payload):
                    asked.received += 1
        self._received[name] = len(device.received)

    def _hear_outcome(self, outcome: Outcome) -> None:
        if isinstance(outcome, Report):
            uplink = outcome.uplink
            self.accepted.append((uplink.device.id, uplink.fcnt, uplink.frame.phy_payload[:-4]))

    # What transmits

    @property
    def transmitter(self) -> Site:
        return self

    def station(self, gateway: str) -> Station | None:
        return Station(many_channels=True)

    def send(self, downlink: Downlink) -> None:
        """Send in the first window that the gateway takes; sometimes it does not say so, or is too late."""
        self._note_counter(downlink.phy_payload)
        for window in downlink.windows:
            if self._random.random() < TOO_LATE:
                if downlink.tell(Transmission(downlink.gateway, window.name, False, "TOO_LATE")):
                    return  # the other gateway is given it
                continue
            radio, at_us = Radio(window.slot.hz, window.slot.rate), self.now_us
            if window.tmst is not None:
                assert self._sent is not None
                at_us += (window.tmst - (self._sent.end_us + GATEWAYS[downlink.gateway])) % COUNTER
            self._on_air.append((at_us, radio, downlink.phy_payload))
            is_silent = self._random.random() < SILENT
            downlink.tell(Transmission(downlink.gateway, window.name, None if is_silent else True))
            return

    def _note_counter(self, phy_payload: bytes) -> None:
        if message_type(phy_payload) is MType.JOIN_ACCEPT:
            return
        data = parse_data_frame(phy_payload)
        device = next(each for each in self.devices.values() if each.dev_addr == data.dev_addr)
        is_app = device.root.is_11 and bool(data.fport)
        self.bytes_by_counter[device.root.dev_eui, device.joins, data.dev_addr, is_app, data.fcnt16].add(phy_payload)

    def settings(self, name: str) -> Settings | None:
        """What is known here of what a device does; None while it has not answered something."""
        with self.ledger.group() as group:
            told = self.devices[name].told
            assert told is not None and self.devices[name].dev_addr is not None
            for session in group.find(Link.LORAWAN, self.devices[name].dev_addr or 0):
                known = self.mac_layer.known(session.device, group)
                if session.device.id == name and not known.pending and session.next_fcnt:
                    return known.settings
        return None

    def batteries(self) -> int:
        """How many readings of batteries there are."""
        return sum(each.waiting for each in lanes.sensor_states(self.store) if each.name == "device_battery")

    def commands(self) -> Sequence[Command]:
        """All commands, as they are kept."""
        return downlinks.load(self.store)


def _networks(region: Region) -> list[Network]:
    """The networks that a region's site is told to be, one after the other."""
    usual = Network(region, 0, 5, sub_band=2 if region.is_fixed else None)
    hz, rate = region.rx2
    changed = replace(usual, rx_delay_s=2, own_rx2=(hz, rate + 1), duty_exponent=4)
    return [usual, changed, replace(changed, tx_params=(5, True)) if region.eirp_dbm else usual]


def _decode(uplink: Uplink) -> Report:
    return Report(uplink, (Reading("fcnt", uplink.fcnt),))
