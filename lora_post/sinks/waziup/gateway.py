"""The gateway's own entry on Waziup: declared once, kept alive by a heartbeat.

Source: Waziup/wazicloud-api: src/Waziup/Gateways.hs.
"""

from __future__ import annotations

import logging

from lora_post.errors import Rejected
from lora_post.net.http_client import Answer
from lora_post.sinks.destination import Site
from lora_post.sinks.waziup.client import WaziupClient, trouble
from lora_post.spool.facts import Facts
from lora_post.waziup.names import to_text

log = logging.getLogger(__name__)

HEARTBEAT = "heartbeat"
HEALTH = "health"  # its name from June to October 2019


class GatewayEntry:
    """The gateway as the server knows it."""

    def __init__(self, client: WaziupClient, site: Site, facts: Facts, *, provision: bool) -> None:
        """provision: declare it when it is missing."""
        self._client = client
        self._site = site
        self._facts = facts
        self._provision = provision
        self._path = HEARTBEAT
        self._is_new = False  # made by us, and no heartbeat has shown yet that it is our account's

    def beat(self) -> None:
        """Send a heartbeat; raises SinkError, Rejected when the gateway is another account's."""
        if self._provision and "gateway" not in self._facts.recall():
            self._declare()
        answer = self._client.put_heartbeat(self._site.gateway_id, self._path)
        if answer.status == 404 and answer.body and self._provision and self._declare():
            answer = self._client.put_heartbeat(self._site.gateway_id, self._path)
        if answer.status in (404, 405):
            answer = self._beat_by_the_other_name(answer)
        if answer.status == 403 and self._is_new and self._take_from_guest():
            return
        if answer.status == 403:
            raise Rejected(
                f"gateway {self._site.gateway_id} belongs to another account, so its heartbeat is refused",
                fix="choose another [gateway] id",
            )
        if answer.status in (404, 405):
            log.warning("heartbeat: status %d: %s", answer.status, answer.text)
        elif answer.status != 204:
            raise trouble("sending the heartbeat", answer)
        else:
            self._is_new = False

    def _take_from_guest(self) -> bool:
        """Return whether the server had given the new gateway to `guest`, and it has been taken over."""
        gateway_id = self._site.gateway_id
        answer = self._client.put_gateway_owner_as_guest(gateway_id, self._client.owner)
        if answer.status == 403:
            return False
        if answer.status != 204:
            raise trouble(f"taking gateway {gateway_id} over from guest", answer)
        self._is_new = False
        log.warning("gateway %s was created as guest and has been taken over; it is private now", gateway_id)
        return True

    def _beat_by_the_other_name(self, answer: Answer) -> Answer:
        """Return the answer to the name that the server knows; the given one when it knows neither."""
        other = HEALTH if self._path == HEARTBEAT else HEARTBEAT
        answer_to_other = self._client.put_heartbeat(self._site.gateway_id, other)
        if answer_to_other.status in (404, 405):
            return answer
        if answer_to_other.status == 204:
            self._path = other
        return answer_to_other

    def _declare(self) -> bool:
        """Return whether the gateway was missing and has been made."""
        site = self._site
        answer = self._client.post_gateway(site.gateway_id, to_text(site.gateway_name), site.visibility)
        if answer.status == 400:
            raise Rejected(f"gateway {site.gateway_id}: {answer.text}")
        if answer.status not in (200, 204, 422):
            raise trouble("declaring the gateway", answer)
        self._facts.remember("gateway", "declared")
        if answer.status == 422:
            return False
        self._is_new = True
        log.info("gateway declared id=%s", site.gateway_id)
        return True
