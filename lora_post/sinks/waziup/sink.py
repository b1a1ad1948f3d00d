"""Send readings to Waziup Cloud, and ask what has arrived.

What is known to exist is remembered, so that in the steady state a batch is one request. A device
is looked at once before the first reading goes to it, see `provision`.

Source: Waziup/wazicloud-api: src/Waziup/{Sensors,SensorData}.hs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import msgspec

from lora_post.clocks.scale import parse_utc, utc_text
from lora_post.clocks.server import SECOND_US
from lora_post.errors import BatchRefused, NotSent, Rejected, SinkError, Unavailable, Untold
from lora_post.net.backoff import Backoff
from lora_post.net.http_client import Answer
from lora_post.sinks.destination import SinkContext
from lora_post.sinks.sink import Sink, nothing_is_sent
from lora_post.sinks.waziup.actuators import ActuatorEntries
from lora_post.sinks.waziup.client import StoredValue, WaziupClient, trouble
from lora_post.sinks.waziup.gateway import GatewayEntry
from lora_post.sinks.waziup.moves import Moves
from lora_post.sinks.waziup.provision import Provisioner
from lora_post.sinks.waziup.stand_in import StandIn
from lora_post.sinks.waziup_values import kept_form, kept_forms, value_objects
from lora_post.spool.facts import Facts
from lora_post.spool.model import Batch, Lane
from lora_post.times import WallUs
from lora_post.waziup.names import to_id

log = logging.getLogger(__name__)

# The dashboard calls a gateway active for 12 hours after a heartbeat; each costs one, and often a login.
HEARTBEAT_EVERY_S = 3600.0
REST_AFTER_TROUBLE = 4.0  # times as long as the failed heartbeat took: readings get the rest
LOOKS_BACK = 500  # answers of some 40 kB, after a power cut in the middle of a backlog
# The clock that dates answers may be a proxy's, and this machine's may be ahead of the one that dates values.
CLOCKS_APART_US = 10_000_000
PAGE_ROWS = 250
SPARE_ROWS = 4  # cost less than the request for a second page
MAX_ROWS = 20_000  # of a sensor's history that one look goes through, some 2 MB


class WaziupSink(Sink):
    """Sends batches of one sensor over HTTP; raises a SinkError when they did not arrive."""

    looks_back = LOOKS_BACK

    def __init__(self, client: WaziupClient, context: SinkContext, facts: Facts, *, provision: bool) -> None:
        """facts: about the server and the account. provision: create what is missing."""
        self._client = client
        self._gateway = GatewayEntry(client, context.site, facts, provision=provision)
        self._provisioner = Provisioner(client, context, facts) if provision else None
        self._moves = Moves(client, context.site.devices)
        self._actuators = ActuatorEntries(client, facts, context.announced)
        self._heartbeat_at = 0.0
        self._heartbeat_backoff = Backoff(HEARTBEAT_EVERY_S)

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def clock_us(self) -> WallUs:
        """Return a time that the server has reached; what it receives from now on, it dates later."""
        return self._client.clock.reached_us()

    def ask_time(self) -> None:
        """Make a small request, for the date of its answer. Raises Unavailable or OutcomeUnknown."""
        self._client.get_me()

    def prepare(self) -> None:
        """Declare the gateway, send its heartbeat and learn the server's time, when they are due.

        Raises only when the login or the question about the time fails.
        """
        if not self._client.clock.is_known and self._client.account is None:
            self._client.get_me()
        began = time.monotonic()
        if self._client.account is None or began < max(self._heartbeat_at, self._heartbeat_backoff.until):
            return
        self._client.renew()
        self._heartbeat_at = began + HEARTBEAT_EVERY_S
        try:
            self._gateway.beat()
        except Rejected as error:
            log.error("heartbeat: %s", error)
        except SinkError as error:
            # Readings go on meanwhile.
            self._retry_heartbeat(began, error)
        else:
            self._heartbeat_backoff.succeed()

    def _retry_heartbeat(self, began: float, error: SinkError) -> None:
        now = time.monotonic()
        retry_after_s = min(error.retry_after_s or 0.0, HEARTBEAT_EVERY_S)
        self._heartbeat_backoff.fail(now, at_least_s=max(retry_after_s, REST_AFTER_TROUBLE * (now - began)))
        self._heartbeat_at = 0.0
        log.warning("heartbeat: %s; trying again in %.0f s", error, self._heartbeat_backoff.until - now)

    def send(self, batch: Batch) -> None:
        """Deliver a batch; return when the server has confirmed it.

        Raises Unavailable, NotSent, MayBeThere, OutcomeUnknown, or Rejected with a reason for a person.
        """
        lane = batch.lane
        self.make_ready(batch)
        answer = self._post(batch)
        if self._provisioner and (answer.status == 403 or (answer.status == 404 and answer.body)):
            if answer.status == 404:
                self._heartbeat_at = 0.0  # a server that has lost a device may have lost the gateway
            self._look_again(lane, self._provisioner)
            self.make_ready(batch)
            answer = self._post(batch)
            if answer.status == 404:
                raise NotSent(f"{lane.device}/{lane.name} is not there right after it was created")
        _check_push(batch, answer)
        self.follow_up(batch)

    def make_ready(self, batch: Batch) -> None:
        """Look at the device of a batch when that is due, create what is missing, and see whose turn it is to send.

        Raises Unavailable, NotSent, MayBeThere, Rejected.
        """
        if self._provisioner:
            with nothing_is_sent():
                self._provisioner.make_ready(batch)

    def follow_up(self, batch: Batch) -> None:
        """Tell what a delivered batch says besides: actuators that are announced, a new place; never raises over it."""
        if self._provisioner:
            self._actuators.declare(batch.lane.device)
            self._moves.follow(batch)

    def _look_again(self, lane: Lane, provisioner: Provisioner) -> None:
        """Find out why a device is refused: missing, or not this account's. Raises Unavailable, NotSent, Rejected."""
        with nothing_is_sent():
            provisioner.ensure(lane)

    def _post(self, batch: Batch) -> Answer:
        bodies = [msgspec.Raw(body) for body in value_objects(batch)]
        return self._client.post_values(batch.lane.device, to_id(batch.lane.name), bodies)

    def stored(self, batch: Batch, since_us: WallUs) -> list[WallUs]:
        """Return the times of a batch that the server got at `since_us` or later, whoever sent them.

        Raises Unavailable, OutcomeUnknown, Rejected when the server lets only others look, Untold.
        """
        if self._provisioner and self._provisioner.stand_in.is_asking(batch.lane):
            return self._copies(batch, self._provisioner.stand_in, since_us)
        sent = dict(zip(batch.times_us, kept_forms(batch), strict=True))
        found: set[WallUs] = set()
        for rows in self._pages(batch.lane, since_us - CLOCKS_APART_US, len(sent)):
            found.update(time for row in rows if (time := _instant(row)) in sent and sent[time] == kept_form(row.value))
            if len(found) == len(sent):
                break
        return sorted(found)

    def _copies(self, batch: Batch, stand_in: StandIn, since_us: WallUs) -> list[WallUs]:
        """Return the times of a batch that another gateway has sent."""
        rows = [row for page in self._pages(batch.lane, since_us, PAGE_ROWS) for row in page]
        theirs = [(time, kept_form(row.value)) for row in rows if (time := _instant(row)) is not None]
        return stand_in.copies(batch, kept_forms(batch), theirs)

    def _pages(self, lane: Lane, since_us: WallUs, first_rows: int) -> Iterator[list[StoredValue]]:
        """Yield what a sensor got at a time or later, newest first; as a rule the first page is our batch."""
        second = utc_text(WallUs(max(since_us, 0) // SECOND_US * SECOND_US))
        limit, offset = min(first_rows + SPARE_ROWS, PAGE_ROWS), 0
        while offset < MAX_ROWS:
            rows = self._page(lane, second, limit, offset)
            yield rows
            if len(rows) < limit:
                return
            offset, limit = offset + limit, PAGE_ROWS
        raise _flooded(lane, second)

    def _page(self, lane: Lane, since: str, limit: int, offset: int) -> list[StoredValue]:
        answer = self._client.get_values(lane.device, to_id(lane.name), since, limit, offset)
        if answer.status == 403 and self._provisioner:
            self._look_again(lane, self._provisioner)
            answer = self._client.get_values(lane.device, to_id(lane.name), since, limit, offset)
        if answer.status == 403:
            # Not nothing: a token that is not believed just then would make readings arrive twice.
            raise Rejected(f"device {lane.device} is private and belongs to another account: {answer.text}")
        if answer.status == 404 and answer.body:
            return []
        if answer.status != 200:
            raise trouble(f"asking what {lane.device}/{lane.name} has", answer)
        try:
            return msgspec.json.decode(answer.body, type=list[StoredValue])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Unavailable(f"asking what {lane.device}/{lane.name} has: no list of values: {error}") from error


def _flooded(lane: Lane, since: str) -> Untold:
    return Untold(
        f"since {since} {lane.device}/{to_id(lane.name)} has got more than {MAX_ROWS} values from others: "
        "what arrived from here cannot be told",
        fix="let nothing else send to this sensor",
    )


def _check_push(batch: Batch, answer: Answer) -> None:
    """Turn the answer to a push into nothing (stored) or a SinkError."""
    lane = batch.lane
    if answer.status == 204 or (answer.status in (200, 201) and not answer.body):
        return  # a page of a network operator's that stands in the way comes as 200, too
    if answer.status == 404 and answer.body:
        raise Rejected(
            f"Waziup has no sensor {to_id(lane.name)} of device {lane.device}",
            fix='create it there, or set [waziup] provision = "auto"',
        )
    if answer.status == 403:
        raise Rejected(f"device {lane.device} is private and belongs to another account: {answer.text}")
    if answer.status == 413:
        raise BatchRefused("the value is too long for Waziup, which takes 1 MB at most (status 413)")
    if answer.status in (400, 422):
        raise BatchRefused(f"Waziup cannot take this value: status {answer.status}: {answer.text}")
    if answer.status in (405, 406, 415):
        raise Rejected(f"Waziup does not understand the request: status {answer.status}", fix="is [waziup] url right?")
    raise trouble(f"sending {lane.device}/{lane.name}", answer)


def _instant(row: StoredValue) -> WallUs | None:
    try:
        return parse_utc(row.timestamp) if row.timestamp else None
    except ValueError:
        return None
