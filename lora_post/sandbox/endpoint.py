"""What a route is made of: an `Endpoint` takes a `Call` and gives a `Reply`.

`routes/` holds one file a resource, each with its `ENDPOINTS`; only `app.py` knows HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from msgspec import Struct, field, json

from lora_post.sandbox.access import User
from lora_post.sandbox.bodies import ReadBody
from lora_post.sandbox.media import JSON, MediaType
from lora_post.sandbox.queries import Query
from lora_post.sandbox.state import State
from lora_post.sandbox.tokens import Tokens
from lora_post.times import WallUs

Clock: TypeAlias = Callable[[], WallUs]
"""Gives the time in µs since 1970 UTC."""


class Settings(Struct, frozen=True):
    """What the operator decides.

    users: passwords by name; the user called admin is the administrator.
    legacy_health: PUT /gateways/{g}/health in place of /heartbeat, as before October 2019.
    """

    users: Mapping[str, str] = field(default_factory=lambda: {"demo": "demo", "admin": "admin"})
    token_lifetime_s: int = 600
    legacy_health: bool = False


class Service(Struct, frozen=True):
    """What all calls share."""

    state: State
    settings: Settings
    tokens: Tokens


class Call(Struct, frozen=True):
    """One request that passed the rules of HTTP.

    ids: what stands in the path, by the names in braces. body: of the endpoint's type, None if it
    declares none. media: the format to answer in.
    """

    service: Service
    user: User
    now_us: WallUs
    ids: Mapping[str, str]
    query: Query
    body: Any
    media: MediaType

    @property
    def state(self) -> State:
        """Return the sandbox's memory."""
        return self.service.state

    @property
    def now_s(self) -> int:
        """Return the second that the server's stores write."""
        return self.now_us // 1_000_000


class Reply(Struct, frozen=True):
    """An answer; without media it has no Content-Type."""

    status: int
    body: bytes = b""
    media: MediaType | None = None
    headers: Mapping[str, str] = {}


NO_CONTENT = Reply(204)


def json_reply(value: object) -> Reply:
    """Return 200 with a JSON body."""
    return Reply(200, json.encode(value), JSON)


class Endpoint(Struct, frozen=True):
    """One method on one path under /api/v2.

    json, text: how a body of that format is read; both None: the endpoint declares no body, and
    whatever comes is ignored. offers: the formats it can answer in, the preferred one first.
    """

    method: str
    path: str
    handle: Callable[[Call], Reply]
    json: ReadBody | None = None
    text: ReadBody | None = None
    offers: tuple[MediaType, ...] = (JSON,)
