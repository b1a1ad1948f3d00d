"""Judge join-requests and rejoin-requests by what the log holds of their devices."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from lora_post.downlink.join_server import (
    answered,
    answered_again,
    channels_for,
    copy_of,
    copy_of_rejoin,
    draw_dev_addr,
    heard_rejoin,
    heard_request,
    rejoin_answered,
    rejoin_not_answered,
    with_answer,
    with_rejoin_answer,
)
from lora_post.downlink.network import Network
from lora_post.downlink.settings import read_known
from lora_post.downlink.windows import JOIN_DELAY_S
from lora_post.errors import NotUplink
from lora_post.fleet.hub.subjects import log_subject, on_air_of, part_of
from lora_post.fleet.judging.copied import Copied
from lora_post.fleet.judging.desk import Desk
from lora_post.fleet.judging.known_devices import KnownDevices, StateOf
from lora_post.fleet.judging.reply import Reply, ways_after
from lora_post.fleet.log.acceptance import Proposal
from lora_post.fleet.log.entry import Joins
from lora_post.fleet.log.joined import counters_of, joins_of, with_join_state
from lora_post.fleet.log.ownership import may_give
from lora_post.lorawan.join_messages import parse_join_request, parse_rejoin_request
from lora_post.lorawan.phy_payload import MType, message_type
from lora_post.model import Device, Frame
from lora_post.uplink.join_state import Join, Joiner


class JoinJudge:
    """Judges those of devices of one owner. network, desk: None where they are not answered. draw: see `JoinServer`."""

    def __init__(self, owner: str, network: Network | None, desk: Desk | None, draw: Callable[[int], int]) -> None:
        self._owner, self._network, self._desk, self._draw = owner, network, desk, draw

    def join(self, heard: Copied, frame: Frame, known: KnownDevices, state_of: StateOf) -> Proposal | None:
        """Return what a join-request changes. Raises FrameError, UnlockError."""
        if message_type(frame.phy_payload) is not MType.JOIN_REQUEST:
            raise NotUplink("a join-accept")
        device = known.by_eui.get(parse_join_request(frame.phy_payload).dev_eui)
        if device is None:
            heard_request(frame, {})
            return None
        assert device.root is not None  # noqa: S101 - those are the ones that join
        subject = log_subject(device)
        state = state_of(subject)
        joins = joins_of(state, device)
        joiner = Joiner(device, known.sessions.join_state(joins, device))
        asked, new = heard_request(frame, {device.root.dev_eui: joiner})
        if state.owner != self._owner:
            heard.leave(device, state, is_left=not asked.is_repeat)
            return None
        heard.device = device
        network, why_not = self._network, self._why_not(heard)
        if asked.is_copy:
            heard.outcome = copy_of(frame, asked)
            return None
        if network and asked.is_repeat and new.answer and not why_not:
            heard.outcome = answered_again(frame, asked)
            heard.reply = self._reply(heard, new.answer)
            return None
        if network is None or why_not:
            if asked.is_repeat:
                return None
            heard.outcome = Join(frame, device, "join-request", f"{asked.nonce}, not answered: {why_not}")
        else:
            dev_addr, channels = self._offer(network, device, frame, known)
            new = with_answer(network, device, new, frame.time_us, dev_addr, channels)
            heard.outcome = answered(frame, asked, new)
            if self._desk:
                self._desk.joined(device)
            heard.reply = self._reply(heard, new.answer)
        net_id = network.net_id if network else 0
        return Proposal(subject, replace(state, joins=with_join_state(joins, new, net_id)), kind="join")

    def rejoin(self, heard: Copied, frame: Frame, known: KnownDevices, state_of: StateOf) -> Proposal | None:
        """Return what a rejoin-request changes. Raises FrameError, UnlockError."""
        device = known.by_eui.get(parse_rejoin_request(frame.phy_payload).dev_eui)
        joins, joiners = Joins(b""), dict[int, Joiner]()
        if device is not None and device.root is not None:
            subject = log_subject(device)
            state = state_of(subject)
            joins = joins_of(state, device)
            joiners[device.root.dev_eui] = Joiner(device, known.sessions.join_state(joins, device))
        asked = heard_rejoin(frame, joiners)
        device = heard.device = asked.joiner.device
        if state.owner != self._owner:
            heard.leave(device, state, is_left=not asked.is_copy)
            return None
        if asked.is_copy:
            heard.outcome = copy_of_rejoin(frame, asked)
            return None
        network, why_not, new, told = self._network, self._why_not(heard), asked.joiner.state, b""
        before = counters_of(state, asked.device).told
        if network is None or why_not:
            heard.outcome = rejoin_not_answered(frame, asked, why_not)
        else:
            dev_addr, channels = self._offer(network, device, frame, known)
            new = with_rejoin_answer(network, asked, frame.time_us, dev_addr, channels)
            heard.outcome = rejoin_answered(frame, asked, new)
            rx2 = read_known(before, asked.device, network.region).settings.rx2
            heard.reply = self._reply(heard, new.rejoin_answer, rx2)
            told = before if asked.keeps_settings else b""
        net_id = network.net_id if network else 0
        joins = with_join_state(joins, new, net_id, asked.request.count, told)
        if self._desk:
            self._desk.joined(device)
        return Proposal(subject, replace(state, joins=joins), kind="join")

    def _offer(self, network: Network, device: Device, frame: Frame, known: KnownDevices) -> tuple[int, bytes]:
        """Return the DevAddr and the channels of a device's new session."""
        assert device.root is not None  # noqa: S101 - those are the ones that join
        part = part_of(device.root.dev_eui.to_bytes(8, "little"))
        dev_addr = draw_dev_addr(
            network,
            known.taken,
            self._draw,
            lambda dev_addr: part_of(on_air_of(dev_addr)) == part and may_give(self._owner, dev_addr),
        )
        station = self._desk.stations.station(frame.gateway) if self._desk else None
        return dev_addr, channels_for(network, frame, many_channels=bool(station and station.many_channels))

    def _why_not(self, heard: Copied) -> str:
        """Return why a join-request is not answered, "" when it is."""
        if self._network is None:
            return "there is no [network]"
        if not heard.is_live:
            return "it comes too late"
        if not ways_after(heard.frames, self._network.region, JOIN_DELAY_S):
            return "its gateway does not tell when it came, or it is not of the [network] region"
        return ""

    def _reply(self, heard: Copied, accept: bytes, rx2: tuple[int, int] | None = None) -> Reply | None:
        if self._network is None or heard.device is None:
            return None
        ways = ways_after(heard.frames, self._network.region, JOIN_DELAY_S, rx2)
        return Reply(heard.device.id, f"join-accept for {heard.device.id}", accept, ways, JOIN_DELAY_S + 1)
