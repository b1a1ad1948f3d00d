"""Leave frames and commands to the home gateway of their device."""

from __future__ import annotations

import logging
from typing import Final

from nats.aio.msg import Msg

from lora_post.fleet.home.answering import Answering, needs_answer
from lora_post.fleet.home.offers import Offer, encode_offer, offer_subject
from lora_post.fleet.hub.link import Link
from lora_post.fleet.hub.subjects import log_subject
from lora_post.fleet.judging.copied import Copied
from lora_post.fleet.judging.desk import Errand
from lora_post.fleet.judging.judge import Chore
from lora_post.fleet.log.entry import after, encode, new_id
from lora_post.fleet.log.log import Log
from lora_post.fleet.log.ownership import taken_over
from lora_post.fleet.log.view import View

log = logging.getLogger(__name__)

AGAIN_S: Final = 60
"""A command is offered again after so long, until the log knows of it; a frame, when its gateway hands it in again."""


class Leaving:
    """Offers them to the home gateway; takes a device over when that is away and an answer is due."""

    def __init__(self, link: Link, source: Log, answering: Answering) -> None:
        self._link = link
        self._log = source
        self._answering = answering

    def frame(self, copied: Copied, view: View) -> None:
        """Leave a frame. view: of its partition. Raises FleetError."""
        if copied.device is None or not copied.decider:
            return  # of a session of which the log does not tell yet
        last = view.fold(log_subject(copied.device)).last
        if last and copied.is_live and self._answering.is_away(copied.decider) and needs_answer(copied.best):
            log.warning("%s: taken over, home gateway %s is away", copied.device.id, copied.decider)
            entry = after(last, new_id(), taken_over(last.state, is_held=False), "own")
            self._log.append([(log_subject(copied.device), encode(entry))])
            return
        reception = max(copied.frames, key=lambda each: -99.0 if each.snr_db is None else each.snr_db)
        offer = Offer(copied.frames[reception], reception)
        self._link.say(offer_subject(copied.decider), encode_offer(offer))

    def command(self, chore: Chore) -> None:
        """Leave a command. Raises FleetError."""
        if chore.decider and chore.message and isinstance(chore.task, Errand):
            self._link.say(offer_subject(chore.decider), encode_offer(Offer(errand=chore.task)))
            self._link.start(_again(chore.message))


async def _again(message: Msg) -> None:
    await message.nak(delay=AGAIN_S)
