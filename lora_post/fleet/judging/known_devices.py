"""Find devices by the sender of a frame, with their sessions in the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from lora_post.errors import FrameError
from lora_post.fleet.hub.subjects import log_subject
from lora_post.fleet.log.entry import State
from lora_post.fleet.log.joined import Sessions, joins_of
from lora_post.lorawan.join_messages import parse_join_request, parse_rejoin_request
from lora_post.lorawan.phy_payload import parse_data_frame
from lora_post.model import Device, Frame, Link
from lora_post.uplink.joins import is_join, is_rejoin
from lora_post.uplink.model import Session
from lora_post.uplink.unlock import link_of

StateOf: TypeAlias = Callable[[str], State]


class KnownDevices:
    """Devices whose states are not known yet; `follow` is to tell of each."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self._by_address: dict[tuple[Link, int], list[tuple[str, Device]]] = {}
        self.by_eui: dict[int, Device] = {}
        self.joining: dict[str, Device] = {}
        for device in devices:
            if device.root is not None:
                self.by_eui[device.root.dev_eui] = self.joining[log_subject(device)] = device
            elif device.address is not None:
                self._by_address.setdefault((device.link, device.address), []).append((log_subject(device), device))
        self.sessions = Sessions()
        self.by_id = {device.id: device for device in devices}

    def part_of(self, device: str) -> int:
        """Return the partition of a device; -1 for one that is not known."""
        known = self.by_id.get(device)
        return int(log_subject(known).split(".")[1]) if known else -1

    def may_know(self, frame: Frame) -> bool:
        """Tell whether a frame may be of one of the devices, by what it says of its sender; for any thread."""
        try:
            if is_join(frame):
                return parse_join_request(frame.phy_payload).dev_eui in self.by_eui
            if is_rejoin(frame):
                return parse_rejoin_request(frame.phy_payload).dev_eui in self.by_eui
            link = frame.link or link_of(frame.phy_payload)
            if link is Link.LOWCOST:
                return (link, frame.phy_payload[2]) in self._by_address
            dev_addr = parse_data_frame(frame.phy_payload).dev_addr
        except (FrameError, IndexError):
            return False
        return (link, dev_addr) in self._by_address or bool(self.sessions.at(dev_addr))

    def follow(self, subject: str, state: State) -> None:
        """Note the newest state of a device."""
        if device := self.joining.get(subject):
            self.sessions.follow(device, state)

    def in_sessions(self, device: Device, state: State, address: int) -> Sequence[Session]:
        """Return the sessions with an address in which a device is."""
        if device.root is None:
            return [Session(device, state.own.window.up)] if device.address == address else []
        return [
            Session(self.sessions.in_session(device, each), each.counters.window.up)
            for each in joins_of(state, device).sessions
            if each.dev_addr == address
        ]

    def candidates(self, link: Link, address: int, state_of: StateOf) -> list[tuple[str, Session]]:
        """Return the sessions with an address, each with the log of its device."""
        devices = list(self._by_address.get((link, address), ()))
        if link is Link.LORAWAN:
            devices += [(log_subject(device), device) for device in self.sessions.at(address)]
        return [
            (subject, session)
            for subject, device in devices
            for session in self.in_sessions(device, state_of(subject), address)
        ]

    def taken(self, link: Link, address: int) -> Sequence[Session]:
        """Return sessions that have an address."""
        devices = [device for _, device in self._by_address.get((link, address), ())]
        return [Session(device) for device in (*devices, *self.sessions.at(address))]
