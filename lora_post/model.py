"""Frames, devices, readings, decoders.

They are msgspec Structs, the frozen and slotted kind: equal by value, immutable, and built in
a seventh of the time of a frozen dataclass, which matters on the path from frame to readings. Those that each frame
makes are not tracked by the garbage collector: they hold no cycles.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from time import time
from typing import Final, TypeAlias

from msgspec import Struct

from lora_post.command import DEFAULT_LIFE_S
from lora_post.errors import DecodeError
from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import AnySessionKeys
from lora_post.lowcost.lsc import LscKey
from lora_post.times import StampUs, WallUs

Scalar: TypeAlias = bool | int | float | str
Value: TypeAlias = "Scalar | dict[str, Value] | list[Value]"
Options: TypeAlias = Mapping[str, object]


class Link(StrEnum):
    """The header that a frame starts with; SERVER: a network server has taken it off."""

    LORAWAN = "lorawan"
    LOWCOST = "lowcost"
    SERVER = "server"


_MAX_RX: Final = 1_000_000
"""No radio has more MHz, or kHz of bandwidth."""
SPREADING_FACTORS: Final = range(5, 13)
"""Those of all LoRa chips together."""


class RxInfo(Struct, frozen=True, gc=False):
    """How a gateway heard a frame; None where the input does not say. sf: one of SPREADING_FACTORS."""

    rssi_dbm: float | None = None
    snr_db: float | None = None
    sf: int | None = None
    bw_khz: float | None = None
    cr: str | None = None
    freq_mhz: float | None = None

    @property
    def freq_hz(self) -> int:
        """Return the frequency in Hz, 0 where it is not told, or cannot be one."""
        return _whole(self.freq_mhz, 1_000_000)

    @property
    def bw_hz(self) -> int:
        """Return the bandwidth in Hz, 0 where it is not told, or cannot be one."""
        return _whole(self.bw_khz, 1_000)


def _whole(number: float | None, unit: int) -> int:
    return round(number * unit) if number is not None and 0 <= number <= _MAX_RX else 0


class Frame(Struct, frozen=True, gc=False):
    """The transmission of one radio, as one gateway heard it.

    time_us: reception, µs since 1970 UTC.
    phy_payload: all bytes that were on air, LowCostLoRaGw's 4-byte header included.
    link: the header, where the input knows it; None: the bytes must tell.
    tmst: the gateway's counter at its end, µs modulo 2^32, by which an answer is timed; None where it is not told.
    """

    gateway: str
    time_us: StampUs
    phy_payload: bytes
    rx: RxInfo
    link: Link | None = None
    tmst: int | None = None


class ClearUplink(Struct, frozen=True, gc=False):
    """An uplink that a network server has authenticated and decrypted.

    frame: how the best gateway heard it, without the bytes that were on air. fcnt: all 32 bits.
    fport: None where the frame has none. payload: the clear application bytes. copies: how other gateways heard it.
    """

    frame: Frame
    dev_eui: int
    fcnt: int
    fport: int | None
    payload: bytes
    copies: tuple[Frame, ...] = ()


class NoiseReason(StrEnum):
    """Why a parser skipped bytes."""

    LINE_TOO_LONG = "line-too-long"
    BAD_HEADER = "bad-header"
    NO_PAYLOAD = "no-payload"
    STRAY_PAYLOAD = "stray-payload"
    DAMAGED = "damaged"
    TRUNCATED = "truncated"
    RECEIVE_ERROR = "receive-error"
    BAD_LINE = "bad-line"
    BAD_RECORD = "bad-record"
    CRC = "crc"
    DOWNLINK = "downlink"
    BAD_DATAGRAM = "bad-datagram"
    UNKNOWN_GATEWAY = "unknown-gateway"
    UNKNOWN_FORMAT = "unknown-format"
    NO_FRAME = "no-frame"
    DEFECT = "defect"


class Noise(Struct, frozen=True, gc=False):
    """Bytes that a parser gave up on.

    size: the number of bytes that were skipped, 0 when only advice is given. detail: one printable line for a person.
    """

    reason: NoiseReason
    size: int
    detail: str


Heard: TypeAlias = "Frame | ClearUplink | Noise"
"""An event that an input gives."""


class FCntPolicy(StrEnum):
    """The frame counters that are accepted of a device; docs/devices.md says what each costs."""

    STRICT = "strict"
    SIXTEEN_BIT = "16bit"
    RESTARTS = "restarts"
    UNCHECKED = "unchecked"


class DeviceClass(StrEnum):
    """When a device listens: A after its uplinks, C always."""

    A = "A"
    C = "C"


class Location(Struct, frozen=True):
    """A place on the globe, in decimal degrees."""

    latitude: float
    longitude: float


class SensorRule(Struct, frozen=True):
    """A change that the configuration makes to one reading of a device; None: no change.

    name: as the decoder calls it, or a pattern. The value becomes value * scale + offset, or is read from the
    piecewise line through `curve`: points (raw, real), raw rising. deadband, intervals: see `spool.thinning`.
    """

    name: str
    rename: str | None = None
    drop: bool = False
    scale: int | float = 1
    offset: int | float = 0
    curve: tuple[tuple[float, float], ...] = ()
    unit: str | None = None
    quantity: str | None = None
    deadband: float | None = None
    min_interval_s: float = 0.0
    max_interval_s: float = 0.0


def is_pattern(name: str) -> bool:
    """Tell whether a sensor's name in the configuration is a pattern."""
    return any(sign in name for sign in "*?[")


def matches(name: str, pattern: str) -> bool:
    """Tell whether a sensor's name is a pattern's, or the same."""
    return name == pattern or (is_pattern(pattern) and fnmatchcase(name, pattern))


def rule_for(name: str, rules: Sequence[SensorRule]) -> SensorRule | None:
    """Return the rule of a sensor: the one with its name, else the first pattern that fits; None for none."""
    whole = next((rule for rule in rules if rule.name == name), None)
    return whole or next((rule for rule in rules if matches(name, rule.name)), None)


class ActuatorRule(Struct, frozen=True):
    """How values of one actuator are sent to a device.

    fport: None where the encoder says it. is_confirmed: the device is to acknowledge them. life_s: they are sent within
    so long. payloads: bytes by the JSON of the value; others are encoded by the decoder.
    """

    name: str
    fport: int | None = None
    is_confirmed: bool = False
    life_s: float = DEFAULT_LIFE_S
    payloads: Mapping[str, bytes] = {}


class Device(Struct, frozen=True):
    """A device in the field.

    id: the Waziup device id.
    address: DevAddr, the 4-byte header's source address, or DevEUI at a network server; None for a device that is
    to join (OTAA).
    decoder: its name, for FPorts that `decoder_by_fport` does not list; "" where payloads are not decoded.
    keys: None for a LowCostLoRaGw device without AES, for one behind a network server, and for one that is to join.
    lsc: the key of LowCostLoRaGw's own cipher. root: the root keys of a device that joins.
    fcnt: which counters are accepted. accept_half_mic: a LoRaWAN 1.1 uplink that acknowledges a downlink is
    accepted on the half of its MIC that can be checked.
    app_keys: the LowCostLoRaGw application keys that are allowed; empty: not checked.
    options: for the decoder, see `Decoder.configure`. sensors: what is changed about its readings.
    only, drop: names and patterns of the sensors that alone are sent, and of those that are not.
    location: where it is, None when that is not given. moves: its readings tell where it is now.
    rx_delay_s: from the end of an uplink to RX1, where it listens for an answer; 0: another network answers it.
    device_class: when it listens. actuators: how their values are sent. cf_list: the channels that its join gave it,
    b"" for none. adr: its data rate and power are set from here. dev_status_every_s: how often it is asked for its
    battery, 0: never. any_dev_nonce: it may join with a DevNonce that it has used. home: the gateway of a fleet that
    decides about it alone, "" for none.
    """

    id: str
    name: str
    link: Link
    address: int | None
    decoder: str
    keys: AnySessionKeys | None = None
    lsc: LscKey | None = None
    root: RootKeys | None = None
    fcnt: FCntPolicy = FCntPolicy.STRICT
    accept_half_mic: bool = False
    app_keys: frozenset[bytes] = frozenset()
    visibility: str = "private"
    decoder_by_fport: Mapping[int, str] = {}
    options: Options = {}
    sensors: tuple[SensorRule, ...] = ()
    only: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    location: Location | None = None
    moves: bool = False
    rx_delay_s: int = 1
    device_class: DeviceClass = DeviceClass.A
    actuators: tuple[ActuatorRule, ...] = ()
    cf_list: bytes = b""
    adr: bool = False
    dev_status_every_s: float = 0.0
    any_dev_nonce: bool = False
    home: str = ""

    def __repr__(self) -> str:
        return f"Device({self.id!r})"  # app_keys are secrets

    def actuator(self, name: str) -> ActuatorRule:
        """Return how values of an actuator are sent; as usual where nothing is configured."""
        return next((rule for rule in self.actuators if rule.name == name), ActuatorRule(name))

    def decoder_for(self, fport: int | None) -> str:
        """Return the name of the decoder for an FPort, "" where payloads are not decoded."""
        return self.decoder_by_fport.get(fport or 0, self.decoder)

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """All its keys, whatever they are for."""
        holders = (self.keys, self.root)
        lsc = (self.lsc.key,) if self.lsc is not None else ()
        return tuple(key for holder in holders if holder is not None for key in holder.secrets) + lsc

    @property
    def address_text(self) -> str:
        """The address as people write it, see `address_text`; the DevEUI of a device that joins."""
        if self.address is None:
            return f"{self.root.dev_eui:016x}" if self.root else ""
        return address_text(self.link, self.address)


def address_text(link: Link, address: int) -> str:
    """Return DevAddr as 8 hex digits, DevEUI as 16, a source address in decimal."""
    if link is Link.SERVER:
        return f"{address:016x}"
    return f"{address:08x}" if link is Link.LORAWAN else str(address)


MAX_READINGS: Final = 256
"""Of one payload, which has at most 255 bytes: more is a decoder's mistake."""
MAX_DEPTH: Final = 8
"""How many objects and lists a value may have inside one another."""
MIN_INT, MAX_INT = -(2**63), 2**63 - 1
"""Whole numbers in between are exact in Waziup Cloud's history."""


class Reading(Struct, frozen=True, gc=False):
    """One named value.

    name: lower_case_with_underscores, `_<channel>` appended where the payload numbers its sensors.
    unit: a symbol of `units.py`, "" without a unit. quantity: a Waziup quantity, where the name does not tell it.
    age_s: seconds between measurement and reception. at_s: when it was measured, seconds since 1970 UTC, for a
    stored value whose payload says so; None: age_s tells it. One that cannot be true costs the reading.
    """

    name: str
    value: Value
    unit: str = ""
    channel: int | None = None
    quantity: str = ""
    age_s: float = 0.0
    at_s: float | None = None

    def measured_us(self, received_us: StampUs) -> StampUs:
        """Return when it was measured. received_us: when its uplink was received."""
        if self.at_s is not None:
            return WallUs(round(self.at_s * 1e6))
        return received_us - round(self.age_s * 1e6) if self.age_s else received_us


class LeftOut(Struct, frozen=True):
    """What of a payload is not a reading, by name, and why."""

    name: str
    why: str


class Actuator(Struct, frozen=True):
    """A part of a device that takes values.

    name: as for readings; not the name of a reading of the same device. kind: Waziup's kind, "" where not known.
    value_type: of the values that it takes, in Waziup's words: string, number, bool, object or array.
    """

    name: str
    kind: str = ""
    value_type: str = "number"


class Decoded(Struct, frozen=True):
    """Readings with more that a decoder has to say; a list of readings is enough otherwise.

    data: what a codec made of the payload, for `lora-post decode`. actuators: those that the device announces.
    metadata: what the payload says of the device or itself, as identity and versions: not measured, so not sent.
    left_out: what else is not a reading.
    """

    readings: list[Reading]
    warnings: tuple[str, ...] = ()
    data: object = None
    actuators: tuple[Actuator, ...] = ()
    metadata: tuple[Reading, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


DecodeFunction: TypeAlias = Callable[[bytes, int], "list[Reading] | Decoded"]


class Encoded(Struct, frozen=True):
    """What is sent to a device. fport: None where its encoder does not say."""

    payload: bytes
    fport: int | None = None
    warnings: tuple[str, ...] = ()


class EncodeExample(Struct, frozen=True):
    """Values, and what an encoder makes of them; None: it refuses them. fport, gives.fport: None for any."""

    values: Mapping[str, object]
    gives: Encoded | None
    fport: int | None = None
    options: Options = {}


EncodeFunction: TypeAlias = Callable[[Mapping[str, object]], tuple["int | None", bytes]]


class CodecFunction(ABC):
    """The decode function of a JavaScript codec: it is told the reception, and limits its time itself."""

    def __call__(self, payload: bytes, fport: int) -> Decoded:
        """Decode a payload as if it were received now."""
        return self.received(payload, fport, time())

    @abstractmethod
    def expect(self, payload: bytes, fport: int, received_s: float) -> None:
        """Note that `received` will soon be called with this: many together cost less than one by one."""

    @abstractmethod
    def received(self, payload: bytes, fport: int, received_s: float) -> Decoded:
        """Decode a payload. received_s: reception, seconds since 1970 UTC. Raises DecodeError."""

    @property
    @abstractmethod
    def encodes(self) -> bool:
        """Whether it has a function for downlinks."""

    @abstractmethod
    def encode(self, values: Mapping[str, object], fport: int) -> Encoded:
        """Encode values for a device. fport: 0 for none. Raises DecodeError."""

    @abstractmethod
    def decode_down(self, payload: bytes, fport: int) -> object:
        """Return what the payload of a downlink says, None where it has no function for that. Raises DecodeError."""


class Example(Struct, frozen=True):
    """A payload (hex, spaces allowed) and what its decoder makes of it.

    fails: the DecodeError that it raises; `gives` is then what was decoded before that.
    options: the options of the device in this example. data: for a codec's own result, which is compared then instead
    of the readings. received_s: reception, seconds since 1970 UTC; None: now.
    """

    payload: str
    fport: int = 1
    gives: Sequence[Reading] = ()
    fails: type[DecodeError] | None = None
    options: Options = {}
    data: object = None
    received_s: float | None = None


class Decoder(Struct, frozen=True):
    """One device type, as a file in `decoders/` offers it.

    decode(payload, fport) -> readings; raises DecodeError. fport is 0 where the radio has none.
    source: the maker's document that the layout was taken from.
    configure: for device types with options: options -> the decode function for such a device; raises
    ConfigError for options that it does not know.
    encode: values by name -> (fport, payload) of a downlink, fport None for any; raises DecodeError. None: it cannot.
    memory_bytes: what its engine holds while it is in use, 0 without an engine. functions: those of a JavaScript codec.
    """

    name: str
    decode: DecodeFunction
    vendor: str
    model: str
    source: str
    examples: Sequence[Example]
    configure: Callable[[Options], DecodeFunction] | None = None
    origin: str = ""
    memory_bytes: int = 0
    functions: tuple[str, ...] = ()
    encode: EncodeFunction | None = None
