"""Answer requests: the page, its data, the live stream, metrics and health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from hashlib import blake2b
from threading import Event
from typing import Any, Final

from msgspec import json
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lora_post.metrics import Metrics
from lora_post.net.visitors import PAGE_HEADERS
from lora_post.observed.run_state import Look
from lora_post.observed.site_state import SiteState
from lora_post.observed.verdict import faults, obstacles
from lora_post.status.access import COOKIE, AccessRule, Credentials
from lora_post.status.live import stream
from lora_post.status.overview import whole
from lora_post.web.serving import SHARED, page_file

MAX_STREAMS: Final = 16
_COOKIE_AGE_S: Final = 365 * 86400
_FILES: Final = {
    "/": ("lora_post.status", "page.html", "html"),
    "/status/page.css": ("lora_post.status", "page.css", "css"),
    "/status/page.js": ("lora_post.status", "page.js", "javascript"),
    "/status/plot.js": ("lora_post.status", "plot.js", "javascript"),
    **{path: ("lora_post.web", name, media) for path, (media, name) in SHARED.items()},
}
_CLOSED: Final = (
    "This page needs its token. Open it once as http://ADDRESS/?token=TOKEN, with the token of [status] in the\n"
    "configuration; programs send `Authorization: Bearer TOKEN`. A page without a token answers only this\n"
    "machine, under the name localhost.\n"
)


def create_app(
    site: SiteState, metrics: Metrics, look: Look, rule: AccessRule, stop: Event, *, sensor_values: bool
) -> Starlette:
    """Return the application; open streams end when `stop` is set. sensor_values: /metrics has them."""
    views = _Views(site, metrics, look, rule, stop, sensor_values=sensor_values)
    routes = [
        *(Route(path, views.file) for path in _FILES),
        Route("/status.json", views.status),
        Route("/status/day.json", views.day),
        Route("/status/live", views.live),
        Route("/metrics", views.metrics),
        Route("/healthz", views.healthz),
        Route("/readyz", views.readyz),
    ]
    return Starlette(routes=routes, middleware=[Middleware(_Door, rule), Middleware(GZipMiddleware, minimum_size=500)])


class _Door:
    """Answers 413 to requests with a body, and 403 to those that the rule does not admit."""

    def __init__(self, app: ASGIApp, rule: AccessRule) -> None:
        self._app = app
        self._rule = rule

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _has_body(Request(scope)):
            # Closed, because what is still to come would be read for as long as it comes.
            headers = PAGE_HEADERS | {"Connection": "close"}
            await Response("a status page takes nothing\n", 413, headers, "text/plain")(scope, receive, send)
        elif scope["type"] == "http" and not self._rule.admits(_credentials(Request(scope))):
            await Response(_CLOSED, 403, PAGE_HEADERS, "text/plain")(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _has_body(request: Request) -> bool:
    headers = request.headers
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip("0") != ""


def _credentials(request: Request) -> Credentials:
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    return Credentials(
        host=request.headers.get("host", ""),
        bearer=bearer.strip() if scheme.lower() == "bearer" else "",
        cookie=request.cookies.get(COOKIE, ""),
        query=request.query_params.get("token", ""),
    )


class _Seats:
    """The streams that may be open at a time; taken before a stream begins. Used by one event loop only."""

    def __init__(self) -> None:
        self._free = MAX_STREAMS

    def take(self) -> bool:
        """Take a seat; False when there is none."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        self._free += 1


class _LiveStream(StreamingResponse):
    """A stream that gives its seat back when it ends, or never begins."""

    def __init__(self, events: AsyncIterator[bytes], seats: _Seats, **options: Any) -> None:
        super().__init__(events, **options)
        self._seats = seats

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._seats.give_back()


class _Views:
    def __init__(
        self, site: SiteState, metrics: Metrics, look: Look, rule: AccessRule, stop: Event, *, sensor_values: bool
    ) -> None:
        self._site = site
        self._metrics = metrics
        self._look = look
        self._rule = rule
        self._stop = stop
        self._seats = _Seats()
        self._sensor_values = sensor_values

    async def file(self, request: Request) -> Response:
        if "token" in request.query_params:
            # The token must not stay in the address, where it would be shown, kept and shared.
            answer: Response = RedirectResponse("/", 303, PAGE_HEADERS)
            if cookie := self._rule.cookie():
                answer.set_cookie(COOKIE, cookie, max_age=_COOKIE_AGE_S, httponly=True, samesite="strict")
            return answer
        package, name, subtype = _FILES[request.url.path]
        content = page_file(package, name)
        tag = f'"{blake2b(content, digest_size=8).hexdigest()}"'
        headers = PAGE_HEADERS | {"ETag": tag}
        # A proxy on the way may have compressed it and marked the tag as weak.
        if request.headers.get("if-none-match", "").removeprefix("W/") == tag:
            return Response(b"", 304, headers)
        return Response(content, 200, headers, f"text/{subtype}")

    async def status(self, request: Request) -> Response:
        runtime = await asyncio.to_thread(self._look)
        return Response(json.encode(whole(self._site, runtime)), 200, PAGE_HEADERS, "application/json")

    async def day(self, request: Request) -> Response:
        device, sensor = request.query_params.get("device", ""), request.query_params.get("sensor", "")
        runtime = await asyncio.to_thread(self._look)
        points = self._site.day(device, sensor, runtime.now_us)
        return Response(json.encode(points), 200 if points else 404, PAGE_HEADERS, "application/json")

    async def live(self, request: Request) -> Response:
        since, rate = _number(request, "since"), _number(request, "rate")
        if not self._seats.take():
            return Response("too many pages are open\n", 503, PAGE_HEADERS, "text/plain")
        return _LiveStream(
            stream(self._site, self._look, since, self._stop, rate),
            self._seats,
            headers=PAGE_HEADERS | {"Cache-Control": "no-store"},
            media_type="text/event-stream",
        )

    async def metrics(self, request: Request) -> Response:
        from lora_post.status.prometheus import CONTENT_TYPE, metrics_text  # only for those who have a Prometheus

        text = await asyncio.to_thread(
            metrics_text, self._metrics, self._site, self._look, sensor_values=self._sensor_values
        )
        return Response(text, 200, PAGE_HEADERS, CONTENT_TYPE)

    async def healthz(self, request: Request) -> Response:
        return _health(faults(await asyncio.to_thread(self._look)))

    async def readyz(self, request: Request) -> Response:
        runtime = await asyncio.to_thread(self._look)
        return _health(obstacles(runtime, self._site.devices()))


def _number(request: Request, name: str) -> int:
    """Return a whole number of the query, 0 for anything else."""
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _health(problems: list[str]) -> Response:
    text = "".join(f"{problem}\n" for problem in problems) or "ok\n"
    return Response(text, 503 if problems else 200, PAGE_HEADERS, "text/plain")
