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


class GatewayEntry:
    """The gateway as the server knows it."""

    def __init__(self, client: WaziupClient, site: Site, facts: Facts, *, provision: bool) -> None:
        """provision: declare it when it is missing."""
        self._client = client
        self._site = site
        self._facts = facts
        self._provision = provision

    def beat(self) -> None:
        """Send a heartbeat; raises SinkError, Rejected when the gateway is another account's."""
        if self._provision and "gateway" not in self._facts.recall():
            self._declare()
        path = self._facts.recall().get("heartbeat", "heartbeat")
        answer = self._client.put_heartbeat(self._site.gateway_id, path)
        if _is_no_route(answer):
            answer = self._client.put_heartbeat(self._site.gateway_id, "health")
            if answer.status == 204:
                self._facts.remember("heartbeat", "health")
        if answer.status == 404 and answer.body and self._provision:
            self._declare()
        elif answer.status == 403:
            raise Rejected(
                f"gateway {self._site.gateway_id} belongs to another account, so its heartbeat is refused",
                fix="choose another [gateway] id",
            )
        elif answer.status != 204:
            log.warning("heartbeat: status %d: %s", answer.status, answer.text)

    def _declare(self) -> None:
        site = self._site
        answer = self._client.post_gateway(site.gateway_id, to_text(site.gateway_name), site.visibility)
        if answer.status == 400:
            raise Rejected(f"gateway {site.gateway_id}: {answer.text}")
        if answer.status not in (200, 204, 422):
            raise trouble("declaring the gateway", answer)
        self._facts.remember("gateway", "declared")
        log.info("gateway declared id=%s", site.gateway_id)


def _is_no_route(answer: Answer) -> bool:
    return answer.status == 405 or (answer.status == 404 and not answer.body)
