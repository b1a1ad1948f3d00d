"""Declare the gateway on Waziup, and keep it alive by a heartbeat.

Source: Waziup/wazicloud-api: src/Waziup/Gateways.hs.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

import msgspec

from lora_post.errors import OutcomeUnknown, Rejected, Unavailable
from lora_post.net.http_client import Answer
from lora_post.sinks.destination import Site
from lora_post.sinks.waziup.client import GatewayBody, RemoteGateway, WaziupClient, trouble
from lora_post.sinks.waziup.commands import Commands
from lora_post.sinks.waziup.declaration import carry_over, declaration
from lora_post.sinks.waziup.ownership import GUEST, other_gateway, other_private_gateway
from lora_post.sinks.waziup.visibility import wrong_gateway
from lora_post.spool.facts import Facts
from lora_post.waziup.names import to_text

log = logging.getLogger(__name__)

HEARTBEAT = "heartbeat"
HEALTH = "health"  # its name from June to October 2019

FACT: Final = "gateway"
BEGUN: Final = "begun"


class GatewayEntry:
    """The gateway as the server knows it."""

    def __init__(self, client: WaziupClient, site: Site, facts: Facts, *, provision: bool) -> None:
        """provision: declare it when it is missing."""
        self._client = client
        self._site = site
        self._facts = facts
        self._provision = provision
        self._path = HEARTBEAT
        username = client.account.username if client.account else ""
        self._commands = Commands(client.base_url, username)
        self._wanted = declaration(site.gateway_id, site.gateway_name, site.visibility, site.location)

    def beat(self) -> None:
        """Send a heartbeat; raises SinkError, Rejected when the gateway is another account's."""
        if self._provision and self._facts.recall().get(FACT) != self._wanted.text:
            self._declare()
        answer = self._client.put_heartbeat(self._site.gateway_id, self._path)
        if answer.status == 404 and answer.body and self._provision and self._declare():
            answer = self._client.put_heartbeat(self._site.gateway_id, self._path)
        if answer.status in (404, 405):
            answer = self._beat_by_the_other_name(answer)
        if answer.status == 403:
            raise self._refusal()
        if answer.status in (404, 405):
            log.warning("heartbeat: status %d: %s", answer.status, answer.text)
        elif answer.status != 204:
            raise trouble("sending the heartbeat", answer)

    def _beat_by_the_other_name(self, answer: Answer) -> Answer:
        """Return the answer to the name that the server knows; the given one when it knows neither."""
        other = HEALTH if self._path == HEARTBEAT else HEARTBEAT
        answer_to_other = self._client.put_heartbeat(self._site.gateway_id, other)
        if answer_to_other.status in (404, 405):
            return answer
        if answer_to_other.status == 204:
            self._path = other
        return answer_to_other

    def _refusal(self) -> Rejected:
        """Return why a heartbeat is refused."""
        gateway = self._look()
        problem = other_gateway(gateway, self._client.owner, self._commands) if gateway else None
        if problem is None:
            return Rejected(f"the heartbeat of gateway {self._site.gateway_id} is refused")
        return Rejected(f"refused: {problem.what}", fix=problem.fix)

    def _declare(self) -> bool:
        """Carry over what the configuration says; return whether the gateway was missing and has been made."""
        gateway_id, gateway = self._site.gateway_id, self._look()
        if is_missing := gateway is None:
            self._facts.remember(FACT, BEGUN)
            self._create()
            gateway = self._look()
            if gateway is None:
                raise OutcomeUnknown(f"gateway {gateway_id} is not there right after it was declared")
        if gateway.owner == GUEST and self._facts.recall().get(FACT) == BEGUN:
            self._take_from_guest()
        elif gateway.owner != self._client.owner:
            return False  # the heartbeat will be refused
        elif problem := wrong_gateway(gateway, self._wanted.visibility, self._client.owner, self._commands):
            log.warning("%s", problem)
        noted = self._facts.recall().get(FACT, "")
        if carry_over(self._wanted, noted, gateway, partial(self._client.put_gateway, gateway_id)):
            self._facts.remember(FACT, self._wanted.text)
        return is_missing

    def _look(self) -> RemoteGateway | None:
        """Return the gateway, None when it is missing. Raises SinkError, Rejected when it is not shown to us."""
        gateway_id = self._site.gateway_id
        answer = self._client.get_gateway(gateway_id)
        if answer.status == 404 and answer.body:
            return None
        if answer.status == 403:
            problem = other_private_gateway(gateway_id)
            raise Rejected(problem.what, fix=problem.fix)
        if answer.status != 200:
            raise trouble(f"looking for gateway {gateway_id}", answer)
        try:
            return msgspec.json.decode(answer.body, type=RemoteGateway)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Unavailable(f"looking for gateway {gateway_id}: no gateway in the answer: {error}") from error

    def _create(self) -> None:
        site = self._site
        body = GatewayBody(site.gateway_id, to_text(site.gateway_name), site.visibility, site.location)
        answer = self._client.post_gateway(body)
        if answer.status == 400:
            raise Rejected(f"gateway {site.gateway_id}: {answer.text}")
        if answer.status not in (200, 204, 422):
            raise trouble("declaring the gateway", answer)
        log.info("gateway declared id=%s", site.gateway_id)

    def _take_from_guest(self) -> None:
        """Take the gateway over that the server gave to `guest`, as it did not believe the token then."""
        gateway_id = self._site.gateway_id
        answer = self._client.put_gateway_owner_as_guest(gateway_id, self._client.owner)
        if answer.status != 204:
            raise trouble(f"taking gateway {gateway_id} over from {GUEST}", answer)
        log.warning("gateway %s was created as %s and has been taken over; it is private now", gateway_id, GUEST)
