"""Answer join-requests: a device asks for a session (OTAA), and this gateway gives it one.

What a join-accept says is kept by the caller before it is sent: the DevNonce that was seen, the JoinNonce, the
DevAddr and the keys. The session that a device has stays good until an uplink comes in the new one, see `prove`.

Sources: LoRaWAN 1.0.4, section 6.2; LoRaWAN 1.1, section 6.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from secrets import randbelow
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from lora_post.clocks.scale import is_unknown
from lora_post.downlink.commands import Book
from lora_post.downlink.duty_cycle import DutyCycle
from lora_post.downlink.network import Network
from lora_post.downlink.settings import read_known
from lora_post.downlink.transmit import Downlink, Station, Transmitter, Window
from lora_post.downlink.windows import JOIN_DELAY_S, windows_after
from lora_post.errors import UsedNonce
from lora_post.lorawan.join_messages import ACCEPT_SIZES, OPT_NEG, RejoinRequest, build_join_accept
from lora_post.lorawan.root_keys import JOIN_REQUEST_TYPE
from lora_post.model import Device, Frame, Link
from lora_post.times import StampUs
from lora_post.uplink.join_state import Join, JoinedSession, Joiner, JoinState
from lora_post.uplink.joins import (
    authentic_rejoin,
    authentic_request,
    is_refused,
    is_repeated,
    joined_device,
    used_nonce,
    with_rejoin,
    with_request,
    with_session,
)
from lora_post.uplink.model import FindSessions

COPY_WINDOW_US: Final = 3_000_000
"""The same request again, so soon, is the copy of another gateway: a device waits for 6 s before it asks again."""
REPEAT_WINDOW_US: Final = 30_000_000
"""A device that did not hear the answer may ask so long with the same DevNonce, and gets the same answer."""
_KEEPS_SETTINGS: Final = 2
"""A rejoin-request of this type is for new keys and another DevAddr; the others begin anew."""
MAX_JOIN_NONCE: Final = 0xFF_FFFF
_DEV_ADDR_BITS: Final = 25
_FIRST_MINUTE: Final = 28_401_120  # 2024-01-01, in minutes since 1970
# Minutes since then leave so many JoinNonces for devices that join more often; they last until 2053.
_MAX_MINUTE: Final = 0xF0_0000
_MINUTE_US: Final = 60_000_000


class JoinAnswer(Struct, frozen=True):
    """What becomes of a join-request. joiner: with what is to be kept before `downlink` is sent."""

    join: Join
    joiner: Joiner
    downlink: Downlink | None = None


class Asked(Struct, frozen=True):
    """An authentic join-request. is_copy: of one that was answered a moment ago. is_repeat: asked once more."""

    joiner: Joiner
    nonce: str
    is_copy: bool
    is_repeat: bool


class AskedAgain(Struct, frozen=True):
    """An authentic rejoin-request. joiner: with what is known after it. session: in which it was sent."""

    joiner: Joiner
    request: RejoinRequest
    session: JoinedSession
    is_copy: bool

    @property
    def said(self) -> str:
        """Return its type and counter as text."""
        return f"type {self.request.kind}, RJcount0 {self.request.count}"

    @property
    def device(self) -> Device:
        """Return the device in its old session: it listens as that says until the new one is used."""
        return joined_device(self.joiner.device, self.session)

    @property
    def keeps_settings(self) -> bool:
        """Return whether the new session keeps the settings of the old one."""
        return self.request.kind == _KEEPS_SETTINGS


def heard_rejoin(frame: Frame, joiners: Mapping[int, Joiner]) -> AskedAgain:
    """Check a rejoin-request of type 0 or 2, and return it with its device.

    Raises FrameError or a subclass of UnlockError for one that is not answered.
    """
    request, joiner, session = authentic_rejoin(frame, joiners)
    state = joiner.state
    is_copy = bool(state.rejoin_answer) and (session.dev_addr, request.count) in state.rejoins
    if not is_copy:
        joiner = Joiner(joiner.device, with_rejoin(joiner.device, state, request, session))
    return AskedAgain(joiner, request, session, is_copy)


def heard_request(frame: Frame, joiners: Mapping[int, Joiner]) -> tuple[Asked, JoinState]:
    """Check a join-request; return it, and the join state of its device after it.

    Raises a subclass of UnlockError for a request that is not authentic, not new, or not of a known device.
    """
    request, joiner = authentic_request(frame, joiners)
    state = joiner.state
    is_last = bool(state.dev_nonces) and state.dev_nonces[-1] == request.dev_nonce
    age_us = abs(frame.time_us - state.asked_us)
    is_copy = is_last and bool(state.answer) and age_us < COPY_WINDOW_US
    is_repeat = is_last and age_us < REPEAT_WINDOW_US
    if not is_repeat and is_refused(joiner.device, state, request.dev_nonce):
        raise used_nonce(joiner.device, state, request.dev_nonce)
    asked = Asked(joiner, f"DevNonce {request.dev_nonce:04x}", is_copy, is_repeat)
    return asked, state if is_repeat else with_request(state, request.dev_nonce, frame.time_us)


class JoinServer:
    """Answers join-requests and rejoin-requests with new sessions."""

    def __init__(self, network: Network, duty_cycle: DutyCycle, draw: Callable[[int], int] = randbelow) -> None:
        """draw: returns a random number below the one that is given."""
        self._network = network
        self._duty_cycle = duty_cycle
        self._draw = draw

    def answer(self, frame: Frame, joiners: Mapping[int, Joiner], book: Book, transmitter: Transmitter) -> JoinAnswer:
        """Return the answer to a join-request.

        Raises a subclass of UnlockError for a request that is not authentic, not new, or not of a known device.
        """
        asked, state = heard_request(frame, joiners)
        joiner, nonce = asked.joiner, asked.nonce
        if asked.is_copy:
            return JoinAnswer(copy_of(frame, asked), joiner)
        station = transmitter.station(frame.gateway)
        windows = windows_after(frame, self._network.region, JOIN_DELAY_S)
        allowed = self._duty_cycle.within(frame.gateway, windows, ACCEPT_SIZES[-1])
        why_not = _why_not(frame, station, windows, allowed)
        if station is None or why_not:
            join = Join(frame, joiner.device, "join-request", f"{nonce}, not answered: {why_not}")
            return JoinAnswer(join, Joiner(joiner.device, state))
        if asked.is_repeat and state.answer:
            join = answered_again(frame, asked)
        else:
            dev_addr = draw_dev_addr(self._network, book.find, self._draw)
            channels = channels_for(self._network, frame, many_channels=station.many_channels)
            state = with_answer(self._network, joiner.device, state, frame.time_us, dev_addr, channels)
            join = answered(frame, asked, state)
        self._duty_cycle.spend(frame.gateway, allowed[0], len(state.answer))
        downlink = Downlink(f"join-accept for {joiner.device.id}", frame.gateway, state.answer, allowed)
        return JoinAnswer(join, Joiner(joiner.device, state), downlink)

    def answer_rejoin(
        self, frame: Frame, joiners: Mapping[int, Joiner], book: Book, transmitter: Transmitter
    ) -> JoinAnswer:
        """Return the answer to a rejoin-request of type 0 or 2: another session, while the one that it has goes on.

        Raises FrameError or a subclass of UnlockError for one that is not answered.
        """
        asked = heard_rejoin(frame, joiners)
        device, state = asked.joiner.device, asked.joiner.state
        if asked.is_copy:
            return JoinAnswer(copy_of_rejoin(frame, asked), asked.joiner)
        station = transmitter.station(frame.gateway)
        told = book.settings_of(asked.device) or b""
        rx2 = read_known(told, asked.device, self._network.region).settings.rx2
        windows = windows_after(frame, self._network.region, JOIN_DELAY_S, rx2)
        allowed = self._duty_cycle.within(frame.gateway, windows, ACCEPT_SIZES[-1])
        why_not = _why_not(frame, station, windows, allowed)
        if station is None or why_not:
            return JoinAnswer(rejoin_not_answered(frame, asked, why_not), asked.joiner)
        dev_addr = draw_dev_addr(self._network, book.find, self._draw)
        channels = channels_for(self._network, frame, many_channels=station.many_channels)
        state = with_rejoin_answer(self._network, asked, frame.time_us, dev_addr, channels)
        if asked.keeps_settings:
            book.keep_settings(joined_device(device, state.sessions[-1]), told)
        self._duty_cycle.spend(frame.gateway, allowed[0], len(state.rejoin_answer))
        downlink = Downlink(f"join-accept for {device.id}", frame.gateway, state.rejoin_answer, allowed)
        return JoinAnswer(rejoin_answered(frame, asked, state), Joiner(device, state), downlink)


def with_rejoin_answer(
    network: Network, asked: AskedAgain, time_us: StampUs, dev_addr: int, channels: bytes
) -> JoinState:
    """Return the state with a new session, and the join-accept that tells of it; see `with_answer`."""
    device, state, session = asked.joiner.device, asked.joiner.state, asked.session
    new, answer = _offered(network, device, state, time_us, dev_addr, channels, asked.request)
    if asked.keeps_settings:
        kept = replace(new.sessions[-1], rx_delay_s=session.rx_delay_s, cf_list=session.cf_list)
        new = replace(new, sessions=(*new.sessions[:-1], kept))
    return replace(new, rejoin_answer=answer)


def copy_of_rejoin(frame: Frame, asked: AskedAgain) -> Join:
    """Return the log entry of a rejoin-request that another gateway heard, too."""
    return Join(frame, asked.joiner.device, "copy", f"{asked.said}, heard by gateway {frame.gateway} too")


def rejoin_not_answered(frame: Frame, asked: AskedAgain, why: str) -> Join:
    """Return the log entry of a rejoin-request that is not answered."""
    return Join(frame, asked.joiner.device, "rejoin-request", f"{asked.said}, not answered: {why}")


def rejoin_answered(frame: Frame, asked: AskedAgain, state: JoinState) -> Join:
    """Return the log entry of a rejoin-request that got a session. state: with that session."""
    dev_addr = state.sessions[-1].dev_addr
    detail = f"{asked.said}, answered with DevAddr {dev_addr:08x}, JoinNonce {state.join_nonce:06x}"
    return Join(frame, asked.joiner.device, "rejoin-request", detail, dev_addr)


def copy_of(frame: Frame, asked: Asked) -> Join:
    """Return the log entry of a join-request that another gateway heard, too."""
    return Join(frame, asked.joiner.device, "copy", f"{asked.nonce}, heard by gateway {frame.gateway} too")


def answered(frame: Frame, asked: Asked, state: JoinState) -> Join:
    """Return the log entry of a join-request that got a session. state: with that session."""
    dev_addr = state.sessions[-1].dev_addr
    detail = f"{asked.nonce}, answered with DevAddr {dev_addr:08x}, JoinNonce {state.join_nonce:06x}"
    return Join(frame, asked.joiner.device, "join-request", detail, dev_addr)


def answered_again(frame: Frame, asked: Asked) -> Join:
    """Return the log entry of a join-request that gets the same answer again."""
    detail = f"{asked.nonce} again, answered with the same join-accept"
    return Join(frame, asked.joiner.device, "join-request", detail)


def with_answer(
    network: Network, device: Device, state: JoinState, time_us: StampUs, dev_addr: int, channels: bytes
) -> JoinState:
    """Return the state with a new session, and the join-accept that tells of it.

    time_us: when the request came. channels: the CFList, or b"".
    """
    state, answer = _offered(network, device, state, time_us, dev_addr, channels)
    return replace(state, answer=answer)


def _offered(
    network: Network,
    device: Device,
    state: JoinState,
    time_us: StampUs,
    dev_addr: int,
    channels: bytes,
    rejoin: RejoinRequest | None = None,
) -> tuple[JoinState, bytes]:
    """Return the state with a new session, and the join-accept. rejoin: what it answers; None: the last DevNonce."""
    root = device.root
    assert root is not None  # noqa: S101 - its MIC was right
    join_nonce = next_join_nonce(state, time_us)
    if join_nonce > MAX_JOIN_NONCE:
        raise UsedNonce(f"{device.id}: all JoinNonces are used", fix="give the device another JoinEUI")
    signed = build_join_accept(
        join_nonce=join_nonce,
        net_id=network.net_id,
        dev_addr=dev_addr,
        dl_settings=network.region.rx2[1] | (OPT_NEG if root.is_11 else 0),
        rx_delay=network.rx_delay_s,
        cf_list=channels,
    )
    dev_nonce, answers = (rejoin.count, rejoin.kind) if rejoin else (state.dev_nonces[-1], JOIN_REQUEST_TYPE)
    keys = root.session_keys(join_nonce, network.net_id, dev_nonce, opt_neg=root.is_11)
    is_doubtful = rejoin is None and is_repeated(state)
    session = JoinedSession(dev_addr, keys.secrets, network.rx_delay_s, channels, is_doubtful)
    answer = root.sealed_accept(signed, dev_nonce, opt_neg=root.is_11, answers=answers)
    return replace(with_session(state, session), join_nonce=join_nonce), answer


def draw_dev_addr(
    network: Network,
    find: FindSessions,
    draw: Callable[[int], int],
    fits: Callable[[int], bool] = lambda dev_addr: True,
) -> int:
    """Draw an address that no session has. draw: see `JoinServer`. fits: tells whether it may be this one."""
    block = (network.net_id & 0x3F) << _DEV_ADDR_BITS
    while True:
        dev_addr = block | draw(1 << _DEV_ADDR_BITS)
        if fits(dev_addr) and not find(Link.LORAWAN, dev_addr):
            return dev_addr


def channels_for(network: Network, frame: Frame, *, many_channels: bool) -> bytes:
    """Return the channels that a device is given: those that its gateway hears, b"" for one on a single channel.

    A plan of fixed channels is far too wide for any gateway, so there devices are always told.
    """
    region = network.region
    if not many_channels and not region.is_fixed:
        return b""
    channels = region.cf_list(frame.rx.freq_hz, network.sub_band)
    return channels.to_bytes() if channels else b""


def _why_not(frame: Frame, station: Station | None, windows: tuple[Window, ...], allowed: tuple[Window, ...]) -> str:
    """Return why a request cannot be answered, "" when it can."""
    if station is None:
        return f"gateway {frame.gateway} does not ask for downlinks (PULL_DATA)"
    if frame.tmst is None:
        return f"gateway {frame.gateway} does not tell when it came"
    if not windows:
        rx = frame.rx
        return f"{rx.freq_mhz or '?'} MHz, SF{rx.sf or '?'} is not of the [network] region"
    return "" if allowed else f"the duty cycle of gateway {frame.gateway} is used up for this hour"


def next_join_nonce(state: JoinState, now_us: StampUs) -> int:
    """Return the next JoinNonce: above all earlier ones, even when the spool was lost.

    A device refuses any that is not above its last one, for good. A spool that was restored from a backup, or is new,
    has not got the last ones; so it is at least the minutes since 2024, as long as the clock is right.
    """
    minutes = 0 if is_unknown(now_us) else min(now_us // _MINUTE_US - _FIRST_MINUTE, _MAX_MINUTE)
    return max(state.join_nonce + 1, minutes)
