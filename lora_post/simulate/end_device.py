"""Play a device that joins and listens, as its specification has it: the other end of the network server.

It sends when its time has come, opens its receive windows only when it should, and complains of what a real device
would drop without a word: a downlink at the wrong moment, on the wrong channel, with a counter that was used.
Times are µs on the counter of the gateways (`tmst`), which here does not wrap.

Sources: LoRaWAN 1.0.4, sections 3, 4 and 6; LoRaWAN 1.1, sections 4 and 6; RP002-1.0.4.
"""

from __future__ import annotations

from random import Random
from typing import Final

from msgspec import Struct

from lora_post.errors import FrameError
from lora_post.lorawan import mac_commands as mac
from lora_post.lorawan.cf_list import parse_cf_list
from lora_post.lorawan.downlinks import MAX_FOPTS
from lora_post.lorawan.join_messages import JoinAccept
from lora_post.lorawan.mac_body import Body
from lora_post.lorawan.phy_payload import (
    ACK,
    ADR,
    ADR_ACK_REQ,
    DataFrame,
    MType,
    build_data_frame,
    message_type,
    parse_data_frame,
)
from lora_post.lorawan.region import DataRate, Region
from lora_post.lorawan.root_keys import RootKeys
from lora_post.simulate.device_session import SentUplink, Session
from lora_post.simulate.joining import Joining, UnfitAccept, Version
from lora_post.simulate.obedience import Obedience, new_obedience

SECOND_US: Final = 1_000_000
JOIN_DELAY_S: Final = 5
MAX_SENDS: Final = 8
"""So often a confirmed uplink is sent until it is acknowledged."""
FPORT: Final = 2
CONFIRMED: Final = 0.1
"""The share of confirmed uplinks."""
REJOINS: Final = 0.01
"""The share of rejoin-requests, of type 0 and 2, among what a device of LoRaWAN 1.1 sends."""
HURRY_S: Final = 3
"""A device of class C acknowledges a downlink so soon."""
ACK_LIMIT: Final = 64
"""After so many uplinks without a downlink a device asks for one (ADR_ACK_LIMIT)."""
ACK_DELAY: Final = 32
"""And joins again when none comes in so many (ADR_ACK_DELAY)."""

_QUESTIONS_SIZE: Final = 4
_KEEPS_SETTINGS: Final = 2
"""A rejoin-request of this type leaves its delays and channels as they are."""
_TOLERANCE_US: Final = 20


class Radio(Struct, frozen=True):
    """How a frame is sent, or listened for."""

    hz: int
    rate: DataRate

    def is_like(self, other: Radio) -> bool:
        """Tell whether one is heard by the other."""
        return (self.hz, self.rate.text) == (other.hz, other.rate.text)


class Sent(Struct, frozen=True):
    """What a device sends. end_us: when the last bit leaves."""

    phy_payload: bytes
    radio: Radio
    end_us: int


class Received(Struct, frozen=True):
    """Application bytes that a device got."""

    fport: int
    payload: bytes
    is_confirmed: bool
    fcnt: int


class EndDevice:
    """One device.

    received: payloads that it got. complaints: what it had to drop, or lacked. next_us: when it sends next.
    """

    def __init__(
        self,
        root: RootKeys,
        version: Version,
        region: Region,
        random: Random,
        *,
        is_class_c: bool = False,
        period_s: int = 900,
        first_dev_nonce: int = 0,
        rejoins: float = REJOINS,
    ) -> None:
        """period_s: from uplink to uplink, about. first_dev_nonce: of a device that counts them.

        rejoins: the share of rejoin-requests of one of LoRaWAN 1.1.
        """
        self.root, self.version, self.is_class_c = root, version, is_class_c
        self._region, self._random, self._period_s = region, random, period_s
        self.received: list[Received] = []
        self.complaints: list[str] = []
        self.next_us = random.randrange(period_s * SECOND_US)
        self.joins = self.rejoins = self.uplinks = self.unacknowledged = 0
        self._rejoins = rejoins if version is Version.V1_1 else 0.0
        self._rejoin: int | None = None  # the type of the rejoin-request whose windows are open
        self._session: Session | None = None
        self._joining = Joining(root, version, random, first_dev_nonce)
        self._uplink: SentUplink | None = None
        self._to_acknowledge: int | None = None
        self._windows: list[tuple[int, Radio]] = []
        self._ends_us = 0
        self._is_hurried = False

    @property
    def is_joined(self) -> bool:
        """Whether it has a session."""
        return self._session is not None

    @property
    def asks(self) -> bool:
        """Whether it listens for a join-accept."""
        return bool(self._windows) and (self._session is None or self._rejoin is not None)

    @property
    def told(self) -> Obedience | None:
        """What it does in its session, as it was told."""
        return self._session.told if self._session else None

    @property
    def dev_addr(self) -> int | None:
        """That of its session."""
        return self._session.dev_addr if self._session else None

    def switch_off(self) -> None:
        """Lose the session; when it is switched on it joins again."""
        self._session = self._uplink = self._to_acknowledge = self._rejoin = None

    # What it sends

    def send(self) -> Sent:
        """Send what is due at `next_us`; then it listens, until `close`."""
        if self._session is None:
            return self._sent(self._joining.request(), self._join_radio(), JOIN_DELAY_S)
        if self._rejoins and self._uplink is None and self._random.random() < self._rejoins:
            return self._send_rejoin(self._session)
        return self._send_data(self._session)

    def _send_rejoin(self, session: Session) -> Sent:
        self._rejoin = self._random.choice((0, _KEEPS_SETTINGS))
        request = self._joining.rejoin_request(self._rejoin, session.keys, session.rejoins)
        session.rejoins += 1
        _, radio = self._channel(session.told)
        return self._sent(request, radio, JOIN_DELAY_S)

    def _channel(self, told: Obedience) -> tuple[int, Radio]:
        """Draw a channel that it may use; its number, and how it sends there."""
        number = self._random.choice(told.usable(told.data_rate))
        return number, Radio(told.channels[number], self._region.data_rates[told.data_rate])

    def _send_data(self, session: Session) -> Sent:
        uplink = self._uplink or self._next_uplink(session)
        uplink.sends += 1
        session.quiet += 1
        self._uplink = uplink
        told = session.told
        channel, radio = self._channel(told)
        mic = session.uplink_mic(uplink, told.data_rate, channel)
        return self._sent(uplink.signed + mic, radio, told.rx_delay_s)

    def _next_uplink(self, session: Session) -> SentUplink:
        fcnt, session.fcnt_up = session.fcnt_up, session.fcnt_up + 1
        acked, self._to_acknowledge = self._to_acknowledge, None
        is_confirmed = self._random.random() < CONFIRMED
        payload = b"\x03\x67" + self._random.randrange(180, 290).to_bytes(2) + b"\x04\x64" + fcnt.to_bytes(4)
        fopts = b"".join(each.to_bytes() for each in self._questions(session))
        self.uplinks += 1
        signed = build_data_frame(
            mtype=MType.CONFIRMED_UP if is_confirmed else MType.UNCONFIRMED_UP,
            dev_addr=session.dev_addr,
            fcnt=fcnt,
            fport=FPORT,
            frm_payload=session.sealed_payload(fcnt, FPORT, payload),
            fopts=session.sealed_fopts(fcnt, fopts),
            flags=ADR | ADR_ACK_REQ * (session.quiet >= ACK_LIMIT) | ACK * (acked is not None),
        )
        return SentUplink(fcnt, signed, acked, is_confirmed)

    def _questions(self, session: Session) -> list[Body]:
        asked = session.told.answers()
        room = MAX_FOPTS - sum(1 + each.size() for each in asked)
        if room < _QUESTIONS_SIZE:
            return asked
        if self.version is Version.V1_1 and not session.is_told:
            asked.append(mac.RekeyInd(1))
        if self._random.random() < 0.05:
            asked.append(mac.LinkCheckReq())
        if self._random.random() < 0.02:
            asked.append(mac.DeviceTimeReq())
        return asked

    def _join_radio(self) -> Radio:
        return self._random.choice(list(self._first_channels().values()))

    def _first_channels(self) -> dict[int, Radio]:
        """The channels that a device joins on; of a fixed plan those of sub-band 2."""
        narrow, *wide = self._region.channels
        rates = self._region.data_rates
        if not wide:
            rate = rates[self._random.choice((3, 4, 5))]
            return {narrow.first + at: Radio(narrow.hz + at * narrow.step, rate) for at in range(narrow.count)}
        found = {at: Radio(narrow.hz + at * narrow.step, rates[self._random.choice((2, 3))]) for at in range(8, 16)}
        found[wide[0].first + 1] = Radio(wide[0].hz + wide[0].step, rates[4])
        return found

    def _sent(self, phy_payload: bytes, radio: Radio, delay_s: int) -> Sent:
        self._ends_us = end_us = self.next_us + round(radio.rate.airtime_s(len(phy_payload)) * SECOND_US)
        rx1 = self._region.rx1(radio.hz, radio.rate.sf, radio.rate.bw_hz)
        assert rx1 is not None  # noqa: S101 - it sends on channels of its region
        self._windows = [
            (end_us + delay_s * SECOND_US, Radio(rx1.hz, rx1.rate)),
            (end_us + (delay_s + 1) * SECOND_US, self._rx2()),
        ]
        return Sent(phy_payload, radio, end_us)

    def _rx2(self) -> Radio:
        hz, rate = self._session.told.rx2 if self._session is not None else self._region.rx2
        return Radio(hz, self._region.data_rates[rate])

    # What it hears

    def hear(self, at_us: int, radio: Radio, phy_payload: bytes) -> None:
        """Take a downlink that begins at a moment; complain when it does not listen, or must not believe it."""
        if not self.listens(at_us, radio):
            open_ = ", ".join(f"{start} {each.hz} {each.rate.text}" for start, each in self._windows) or "nothing"
            self._complain(f"a downlink at {at_us} on {radio.hz} {radio.rate.text}, while it listens to {open_}")
            return
        try:
            if message_type(phy_payload) is MType.JOIN_ACCEPT:
                self._hear_accept(phy_payload)
            else:
                self._hear_data(parse_data_frame(phy_payload))
        except FrameError as error:
            self._complain(f"a downlink that is not a frame: {error}")
        if self._is_hurried and not self._windows:
            self._is_hurried = False
            self.next_us = min(self.next_us, at_us + HURRY_S * SECOND_US)

    @property
    def listens_from_us(self) -> int:
        """When its first window opens."""
        return self._windows[0][0]

    def listens(self, at_us: int, radio: Radio) -> bool:
        """Tell whether it would hear a downlink that begins then."""
        if any(abs(start - at_us) <= _TOLERANCE_US and radio.is_like(each) for start, each in self._windows):
            return True
        session = self._session
        return self.is_class_c and session is not None and radio.is_like(self._rx2()) and at_us > self._ends_us

    def _hear_accept(self, phy_payload: bytes) -> None:
        session, kind = self._session, self._rejoin
        if session is not None and kind is None:
            self._complain("a join-accept that it did not ask for")
            return
        try:
            rejoin = (kind, session.rejoins - 1) if session is not None and kind is not None else None
            accept, keys = self._joining.opened(phy_payload, rejoin)
        except UnfitAccept as error:
            self._complain(str(error))
            return
        self.joins += 1
        self.rejoins += kind is not None
        told = session.told if session and kind == _KEEPS_SETTINGS else self._told_by(accept)
        self._session = Session(accept.dev_addr, keys, told)
        self._uplink = self._to_acknowledge = self._rejoin = None

    def _told_by(self, accept: JoinAccept) -> Obedience:
        cf_list = parse_cf_list(accept.cf_list) if accept.cf_list else None
        first = next(iter(self._first_channels().values()))
        rate = self._region.data_rate(first.rate.sf, first.rate.bw_hz) or 0
        told = new_obedience(self._region, accept.rx_delay_s, accept.rx2_data_rate, cf_list, rate)
        told.complaints = self.complaints
        return told

    def _hear_data(self, data: DataFrame) -> None:
        session = self._session
        if session is None or data.dev_addr != session.dev_addr:
            self._complain(f"a downlink for {data.dev_addr:08x}")
            return
        is_app = not session.is_10 and bool(data.fport)
        newest = session.downs.get(is_app, -1)
        fcnt = newest + 1 + ((data.fcnt16 - newest - 1) & 0xFFFF)
        acks = bool(data.fctrl & ACK)
        acked_fcnt = self._uplink.fcnt if acks and self._uplink else 0
        if session.downlink_mic(data, fcnt, acked_fcnt) != data.mic:
            used = newest - ((newest - data.fcnt16) & 0xFFFF)
            was_used = used >= 0 and session.downlink_mic(data, used, acked_fcnt) == data.mic
            if was_used and data.mtype is MType.CONFIRMED_DOWN and used == newest:
                self._to_acknowledge = used  # the same frame again: its acknowledgement was lost
                self._is_hurried = self.is_class_c
                session.quiet = 0
            elif not was_used or used != newest:
                self._complain(f"FCntDown {data.fcnt16} after {newest}: used before, or the MIC is wrong")
            return
        session.downs[is_app] = fcnt
        session.quiet = 0
        session.told.hears_downlink()
        self._obey(session, data, fcnt)
        if acks:
            if not session.gave_up and (self._uplink is None or not self._uplink.is_confirmed):
                self._complain("an acknowledgement of nothing")
            self._uplink = None
        if data.mtype is MType.CONFIRMED_DOWN:
            self._to_acknowledge = fcnt
            self._is_hurried = self.is_class_c

    def _obey(self, session: Session, data: DataFrame, fcnt: int) -> None:
        if data.fport:
            payload = session.opened_payload(data, fcnt, data.fport)
            self.received.append(Received(data.fport, payload, data.mtype is MType.CONFIRMED_DOWN, fcnt))
        fopts = session.opened_commands(data, fcnt)
        commands = list(mac.parse_mac_commands(fopts, data.mtype))
        if any(each.body is None for each in commands):
            self._complain(f"a MAC command that it does not know: {fopts.hex()}")
        bodies = [each.body for each in commands if each.body is not None]
        session.is_told = session.is_told or any(isinstance(each, mac.RekeyConf) for each in bodies)
        session.told.obey(bodies)

    # After its windows

    def close(self) -> None:
        """End listening, and decide when to send next."""
        self._windows, self._rejoin = [], None
        session, uplink = self._session, self._uplink
        if uplink is not None and session is not None:
            is_answered = not uplink.is_confirmed and session.quiet == 0
            if is_answered or uplink.sends >= (MAX_SENDS if uplink.is_confirmed else session.told.nb_trans):
                self.unacknowledged += uplink.is_confirmed
                session.gave_up = session.gave_up or uplink.is_confirmed
                self._uplink = uplink = None
        if session is not None and session.quiet > ACK_LIMIT + ACK_DELAY:
            self._complain(f"nothing was answered to {session.quiet} uplinks: it joins again")
            self._session = session = None
        if session is None or session.fcnt_up == 0 or uplink is not None:
            wait_s = self._random.randrange(10, 40)
        elif self._is_hurried:
            wait_s = HURRY_S
        else:
            wait_s = self._period_s + self._random.randrange(30)
        self._is_hurried = False
        self.next_us = self._ends_us + wait_s * SECOND_US

    def _complain(self, text: str) -> None:
        self.complaints.append(text)
