"""Hear and send by gateways behind a broker (ChirpStack): `mqtt://HOST/eu868/gateway/+/event/+`.

They are subscribed to as any topic is; what they are to send is published under the same prefix, in the form in which
they write themselves. paho's client belongs to the thread that reads, so others only leave what is to be published.

Source: chirpstack/chirpstack-mqtt-forwarder, chirpstack/chirpstack-gateway-bridge: topics and marshalers.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from secrets import randbelow
from threading import Lock
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace
from paho.mqtt.client import MQTTMessage

from lora_post.clocks.scale import now_us
from lora_post.downlink.heard_channels import HeardChannels
from lora_post.downlink.transmit import COUNTER, Downlink, Station
from lora_post.errors import FrameError
from lora_post.formats import gateway_events
from lora_post.formats.gateway_events import HeardUp, TxAck
from lora_post.formats.guarded import defect_noise
from lora_post.formats.semtech_udp import error_label, explain_error
from lora_post.inputs.gateway_book import GatewayBook
from lora_post.inputs.given import Given, tell_not_sent, tell_sent, tell_unconfirmed
from lora_post.inputs.mqtt import MqttInput
from lora_post.inputs.mqtt_bounded import LongMessage
from lora_post.inputs.powers import REFUSED, Powers
from lora_post.metrics import Metrics
from lora_post.model import Heard, Noise, NoiseReason

KNOWN_FOR_S: Final = 300.0
"""Gateways tell their figures every 30 s."""
CONFIRMS_WITHIN_S: Final = 5.0
MAX_GATEWAYS: Final = 256
KEEP_UPLINKS: Final = 64
_WILDCARDS: Final = frozenset("+#")
_UNUSED: Final = "IGNORED"
"""What an ack says of a window that was not tried."""
_SECOND_US: Final = 1_000_000
_MAX_DELAY_S: Final = 16


class _Gateway(Struct):
    """topic: of its commands. writes_json: as it does itself. heard: counters and contexts of its last uplinks."""

    topic: str
    writes_json: bool
    heard_s: float
    heard: deque[tuple[int, bytes]]


class GatewayDownlinks:
    """The gateways of one broker, as transmitters; safe to share between threads."""

    def __init__(self, metrics: Metrics, monotonic: Callable[[], float], wake: Callable[[], None]) -> None:
        """wake: ends the wait of the thread that publishes."""
        self._metrics = metrics
        self._wake = wake
        self._monotonic = monotonic
        self._lock = Lock()
        self._channels = HeardChannels()
        self._gateways: OrderedDict[str, _Gateway] = OrderedDict()
        self._given = Given(CONFIRMS_WITHIN_S, monotonic)
        self._powers = Powers()
        self._next_id = randbelow(1 << 31)
        self.to_publish: SimpleQueue[tuple[str, bytes]] = SimpleQueue()

    def heard(self, gateway: str, topic: str, *, writes_json: bool, up: HeardUp | None = None) -> None:
        """Note an event of a gateway. topic: of the event; one that nobody could publish at is not answered."""
        if set(topic) & _WILDCARDS:
            return
        with self._lock:
            known = self._gateways.pop(gateway, None) or _Gateway("", False, 0.0, deque(maxlen=KEEP_UPLINKS))
            self._gateways[gateway] = known
            if len(self._gateways) > MAX_GATEWAYS:
                self._gateways.popitem(last=False)
            known.topic = topic.rpartition("/event/")[0] + "/command/down"
            known.writes_json, known.heard_s = writes_json, self._monotonic()
            if up is not None and up.frame.tmst is not None:
                known.heard.append((up.frame.tmst, up.context))
                self._channels.hear(gateway, up.frame.rx.freq_mhz)

    def station(self, gateway: str) -> Station | None:
        with self._lock:
            known = self._gateways.get(gateway)
            if known is None or self._monotonic() - known.heard_s > KNOWN_FOR_S:
                return None
            return Station(self._channels.are_many(gateway), self._given.round_trips.of(gateway))

    def send(self, downlink: Downlink) -> None:
        with self._lock:
            known = self._gateways.get(downlink.gateway)
            found = _timing(downlink, known) if known else None
            if known is not None and found is not None:
                self._next_id = (self._next_id + 1) % COUNTER
                windows = (self._powers.within(downlink.gateway, each) for each in downlink.windows)
                downlink = replace(downlink, windows=tuple(windows))
                self._given.put(self._next_id, downlink)
                delays_s, context = found
                body = command(downlink, self._next_id, delays_s, context, json=known.writes_json)
                self.to_publish.put((known.topic, body))
                self._wake()
                return
        why = "the gateway does not know the uplink any more" if known else "the gateway is not known any more"
        tell_not_sent(self._metrics, downlink, "", f"gateway {downlink.gateway}", why)

    def confirmed(self, gateway: str, ack: TxAck) -> None:
        """Take an ack: at most one window was used."""
        with self._lock:
            downlink = self._given.find(ack.downlink_id, gateway)
            if downlink is None or not set(ack.errors) - {_UNUSED}:
                return  # it tells nothing
            self._given.remove(ack.downlink_id)
            for window, error in zip(downlink.windows, ack.errors, strict=False):
                if error == REFUSED:
                    self._powers.refused(gateway, window.slot.power_dbm)  # its next answer goes with less
        for window, error in zip(downlink.windows, ack.errors, strict=False):
            if not error:
                tell_sent(self._metrics, downlink, window.name, f"gateway {gateway}")
                return
            if error != _UNUSED:
                why, by = explain_error(error), f"gateway {gateway} in {window.name}"
                fate = f"the gateway refused it: {why}"
                tell_not_sent(self._metrics, downlink, window.name, by, why, label=error_label(error), fate=fate)

    def look_for_unconfirmed(self) -> None:
        """Tell of frames that a gateway was given and said nothing about."""
        with self._lock:
            silent = self._given.silent()
        for downlink in silent:
            tell_unconfirmed(self._metrics, downlink, downlink.windows[0].name, f"gateway {downlink.gateway}")


def _timing(downlink: Downlink, known: _Gateway) -> tuple[tuple[int, ...], bytes] | None:
    """Return the delays of the windows in s, none for at once, and the context; None when the uplink is not known."""
    first = downlink.windows[0].tmst
    if first is None:
        return (), b""
    for tmst, context in reversed(known.heard):
        delay_s, rest = divmod((first - tmst) % COUNTER, _SECOND_US)
        if not rest and 1 <= delay_s <= _MAX_DELAY_S:
            delays = (((window.tmst or 0) - tmst) % COUNTER // _SECOND_US for window in downlink.windows)
            return tuple(delays), context
    return None


def command(downlink: Downlink, downlink_id: int, delays_s: tuple[int, ...], context: bytes, *, json: bool) -> bytes:
    """Return `command/down`. delays_s: from the uplink to each window; none: at once."""
    message = gateway_events.new_message("DownlinkFrame")
    message.downlink_id, message.gateway_id = downlink_id, downlink.gateway
    for number, window in enumerate(downlink.windows):
        tx, slot = message.items.add(phy_payload=downlink.phy_payload).tx_info, window.slot
        tx.frequency, tx.power, tx.context = slot.hz, slot.power_dbm, context
        lora = tx.modulation.lora
        lora.bandwidth, lora.spreading_factor, lora.polarization_inversion = slot.rate.bw_hz, slot.rate.sf, True
        lora.code_rate = gateway_events.CR_4_5
        if delays_s:
            tx.timing.delay.delay.seconds = delays_s[number]
        else:
            tx.timing.immediately.SetInParent()
    return gateway_events.written(message, json=json)


class MqttGateways(MqttInput):
    """Frames out of the events of gateways, and the way back to them."""

    is_awaited = True

    def __init__(self, *arguments: Any, metrics: Metrics, transmits: bool, **options: Any) -> None:
        """arguments, options: of MqttInput."""
        super().__init__(*arguments, **options)
        self._downlinks = GatewayDownlinks(metrics, self._monotonic, self._client.wake)
        self.transmitter = self._downlinks if transmits else None
        self.gateways = GatewayBook(self.name, self._monotonic)

    def events(self, timeout_s: float) -> Sequence[Heard]:
        self._publish()
        events = super().events(timeout_s)
        self._publish()
        self._downlinks.look_for_unconfirmed()
        self.gateways.look_for_silent()
        return events

    def _publish(self) -> None:
        while self._client.is_connected():
            try:
                topic, body = self._downlinks.to_publish.get_nowait()
            except Empty:
                return
            self._client.publish(topic, body)

    def _read(self, message: MQTTMessage | LongMessage) -> list[Heard]:
        if isinstance(message, LongMessage) or message.retain:
            return super()._read(message) if isinstance(message, LongMessage) else []
        body = bytes(message.payload)
        try:
            return self._read_event(message.topic, body)
        except FrameError as error:
            return [Noise(NoiseReason.BAD_LINE, max(len(body), 1), f"{self.name}: {error}")]
        except Exception as error:  # a message costs only itself
            return [defect_noise(error, body)]

    def _read_event(self, topic: str, body: bytes) -> list[Heard]:
        gateway, kind = gateway_events.gateway_in(topic)
        writes_json = gateway_events.is_json(body)
        self.gateways.heard(gateway, self.name)
        up = gateway_events.read_up(body, gateway, now_us()) if kind == "up" else None
        self._downlinks.heard(gateway, topic, writes_json=writes_json, up=up)
        if kind == "stats":
            self.gateways.told(gateway, gateway_events.read_stats(body))
        elif kind == "ack":
            self._downlinks.confirmed(gateway, gateway_events.read_ack(body))
        if up is None:
            return []
        if up.is_damaged:
            return [Noise(NoiseReason.CRC, len(up.frame.phy_payload), f"{self.name}: gateway {gateway}: wrong CRC")]
        return [up.frame]
