"""Answer home gateways, in each worker: say which entries are valid, note who is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Event
from typing import Final

from nats.aio.msg import Msg

from lora_post.fleet.errors import UNREADABLE, FleetError
from lora_post.fleet.home.heads import MAX_ASKED, Heads, Seen, decode_asked, encode_seen
from lora_post.fleet.hub.link import Link
from lora_post.fleet.hub.raw import OfferWaiting, encode
from lora_post.fleet.hub.subjects import TO_ALL, log_subject, token
from lora_post.fleet.log import hub_state
from lora_post.fleet.log.log import Log
from lora_post.lorawan.phy_payload import MType, message_type, parse_data_frame
from lora_post.model import Device, Frame
from lora_post.uplink.joins import is_join

log = logging.getLogger(__name__)

ALL_LOOKS: Final = "home.*.look"
GROUP: Final = "workers"
LOOK_S: Final = 60.0
ANSWER_S: Final = 2.0
"""So long the logs of devices are read for one answer; who asks waits 5 s."""
BACK_S: Final = 300.0
"""A gateway says something every two minutes. One that said nothing for so long did not get what was offered to it."""
_ADR_ACK_REQ: Final = 0x40


class Answering:
    """Answers home gateways, and knows which of them are away. `run` is its thread."""

    def __init__(self, link: Link, source: Log, devices: Sequence[Device], takeover_after_s: float) -> None:
        """takeover_after_s: see `FleetConfig`."""
        self._link = link
        self._heads = Heads(source)
        self._takeover_after_s = takeover_after_s
        self._messages: SimpleQueue[Msg] = SimpleQueue()
        self._seen: dict[str, tuple[int, float]] = {}
        self._began: float | None = None
        self._look_at = 0.0
        self._reconnects = -1
        self.use(devices)

    def use(self, devices: Sequence[Device]) -> None:
        """Answer for these devices from now on; for any thread."""
        self._homes = {log_subject(device): token(device.home) for device in devices if device.home}

    def run(self, stop: Event, beat: Callable[[], None]) -> None:
        """Answer until `stop`. beat: called at least once in a minute."""
        is_listening = False
        while not stop.is_set():
            beat()
            try:
                if not self._link.is_up or not self._homes:
                    stop.wait(1.0)
                    continue
                if not is_listening:
                    self._link.serve(ALL_LOOKS, GROUP, self._messages.put)
                    is_listening = True
                self._look_after()
                self._answer()
            except FleetError as error:
                log.debug("%s", error)
                stop.wait(1.0)

    def is_away(self, home: str) -> bool:
        """Tell whether a home gateway is silent for so long that workers take over; for any thread."""
        if not self._takeover_after_s or self._began is None:
            return False
        _, since = self._seen.get(token(home), (0, self._began))
        return time.monotonic() - since >= self._takeover_after_s

    def _look_after(self) -> None:
        now = time.monotonic()
        reconnects = self._link.reconnects
        if self._reconnects != reconnects:
            self._seen.clear()
            self._began = now  # what was said while this worker was away is not known
            self._heads.look_again()
            self._reconnects = reconnects
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            for each in hub_state.read_state(self._link, "gw.*.state"):
                home = each.subject.split(".")[1]
                position, since = self._seen.get(home, (0, now))
                if position == each.position:
                    continue
                self._seen[home] = each.position, now
                if now - since >= BACK_S and home in self._homes.values():
                    self._link.say(TO_ALL, encode(OfferWaiting()))

    def _answer(self) -> None:
        try:
            message = self._messages.get(timeout=1.0)
        except Empty:
            return
        home = message.subject.split(".")[1]
        try:
            asked = decode_asked(message.data)[:MAX_ASKED]
        except UNREADABLE:
            return
        mine = [each for each in asked if self._homes.get(each.subject) == home]
        others = [Seen(each.subject, "", is_yours=False) for each in asked if each not in mine]
        self._link.start(message.respond(encode_seen([*others, *self._heads.look(mine, ANSWER_S)])))


def needs_answer(frame: Frame) -> bool:
    """Tell whether a device waits for an answer to this frame, which is whole."""
    if is_join(frame):
        return True
    data = parse_data_frame(frame.phy_payload)
    return message_type(frame.phy_payload) is MType.CONFIRMED_UP or bool(data.fctrl & _ADR_ACK_REQ)
