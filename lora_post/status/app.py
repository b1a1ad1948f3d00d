"""Answer requests: the page, its data, the live stream, metrics and health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from hashlib import blake2b
from threading import Event
from typing import Any, Final

from msgspec import Struct, json
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lora_post.errors import SpoolError
from lora_post.metrics import Metrics
from lora_post.net.visitors import PAGE_HEADERS
from lora_post.observed.page_model import PageStrangers
from lora_post.observed.run_state import Look
from lora_post.observed.site_state import SiteState
from lora_post.observed.verdict import faults, obstacles
from lora_post.spool.strangers import Stranger
from lora_post.status.access import COOKIE, AccessRule, Credentials
from lora_post.status.form import MAX_BYTES, AnswerForm
from lora_post.status.live import stream
from lora_post.status.overview import Wanted, log, stranger, whole
from lora_post.status.trends import SPANS_S, LoadTrends, trends
from lora_post.times import WallUs
from lora_post.web.serving import SHARED, page_file

MAX_STREAMS: Final = 16
SCRIPTS: Final = ("page", "site", "devices", "device", "log", "refused", "plot", "token")
_COOKIE_AGE_S: Final = 365 * 86400
_FILES: Final = {
    "/": ("lora_post.status", "page.html", "html"),
    "/status/page.css": ("lora_post.status", "page.css", "css"),
    **{f"/status/{name}.js": ("lora_post.status", f"{name}.js", "javascript") for name in SCRIPTS},
    **{path: ("lora_post.web", name, media) for path, (media, name) in SHARED.items()},
}
_LOGIN: Final = "/login"
_FORM: Final = "/status/devices"
_BODY_S: Final = 10.0
_OPEN: Final = frozenset({"/status/token.js", "/status/page.css", "/web/look.css", "/web/parts.js"})
"""What the page that asks for the token is made of."""
_CLOSED: Final = (
    "This page needs its token, that of [status] in the configuration. A browser is asked for it at the page's own\n"
    "address; programs send `Authorization: Bearer TOKEN`. A page without a token answers only this\n"
    "machine, under the name localhost.\n"
)


class Sources(Struct, frozen=True):
    """Where the pages get their data. sensor_values: /metrics has them.

    answer_form: tries and adds devices; None: nobody may.
    """

    site: SiteState
    metrics: Metrics
    look: Look
    load_trends: LoadTrends
    load_strangers: Callable[[], Sequence[Stranger]]
    answer_form: AnswerForm | None = None
    sensor_values: bool = False


_LEVEL: Final = 4
"""Of compression: a tenth of the time that 9 takes, and a tenth more bytes, of the metrics of 10,000 devices."""
_NO_EDIT: Final = (
    "Devices cannot be added here: that needs a token in [status], also on this machine, and `edit` that is not\n"
    "switched off there.\n"
)


def create_app(sources: Sources, rule: AccessRule, stop: Event) -> Starlette:
    """Return the application; open streams end when `stop` is set."""
    views = _Views(sources, rule, stop)
    routes = [
        *(Route(path, views.file) for path in _FILES),
        Route("/status.json", views.status),
        Route("/status/trends.json", views.trends),
        Route("/status/log.json", views.log),
        Route("/status/strangers.json", views.strangers),
        Route(_FORM, views.form, methods=["POST"]),
        Route(_LOGIN, views.login),
        Route("/status/live", views.live),
        Route("/metrics", views.metrics),
        Route("/healthz", views.healthz),
        Route("/readyz", views.readyz),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(_Door, rule), Middleware(GZipMiddleware, minimum_size=500, compresslevel=_LEVEL)],
    )


class _Door:
    """Answers 413 to requests with a body, but for the form, and 403 to those that the rule does not admit.

    A browser without the token gets the page that asks for it.
    """

    def __init__(self, app: ASGIApp, rule: AccessRule) -> None:
        self._app = app
        self._rule = rule

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _has_body(Request(scope)) and not _is_form(Request(scope)):
            # Closed, because what is still to come would be read for as long as it comes.
            headers = PAGE_HEADERS | {"Connection": "close"}
            await Response("a status page takes nothing\n", 413, headers, "text/plain")(scope, receive, send)
        elif scope["type"] == "http" and not self._rule.admits(_credentials(Request(scope))):
            await self._refusal(Request(scope))(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, request: Request) -> Response:
        path = request.url.path
        if self._rule.has_token and path in _OPEN:
            return _file(request)
        if self._rule.has_token and path == "/" and "text/html" in request.headers.get("accept", ""):
            return Response(page_file("lora_post.status", "token.html"), 403, PAGE_HEADERS, "text/html")
        return Response(_CLOSED, 403, PAGE_HEADERS, "text/plain")


def _has_body(request: Request) -> bool:
    headers = request.headers
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip("0") != ""


def _is_form(request: Request) -> bool:
    """Tell whether this is the form of a page from here: JSON, of which another site's page cannot send any unasked."""
    headers = request.headers
    is_json = headers.get("content-type", "").partition(";")[0].strip() == "application/json"
    is_short = "transfer-encoding" not in headers and 0 < _whole(headers.get("content-length", "")) <= MAX_BYTES
    origin = headers.get("origin")  # programs send none
    is_from_here = origin is None or origin.partition("://")[2] == headers.get("host")
    return request.method == "POST" and request.url.path == _FORM and is_json and is_short and is_from_here


def _credentials(request: Request) -> Credentials:
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    return Credentials(
        host=request.headers.get("host", ""),
        bearer=bearer.strip() if scheme.lower() == "bearer" else "",
        cookie=request.cookies.get(COOKIE, ""),
        query=request.query_params.get("token", ""),
    )


class _Seats:
    """The number of streams that may be open at a time. Used by one event loop only."""

    def __init__(self) -> None:
        self._free = MAX_STREAMS

    def take(self) -> bool:
        """Take a free place for a stream; return False when there is none."""
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
    def __init__(self, sources: Sources, rule: AccessRule, stop: Event) -> None:
        self._sources = sources
        self._site = sources.site
        self._look = sources.look
        self._rule = rule
        self._stop = stop
        self._seats = _Seats()
        self._forms = asyncio.Lock()

    async def file(self, request: Request) -> Response:
        if "token" in request.query_params:
            # The token must not stay in the address, where it would be shown, kept and shared.
            return self._with_cookie(RedirectResponse("/", 303, PAGE_HEADERS))
        return _file(request)

    async def login(self, request: Request) -> Response:
        """Give the cookie to a page that has sent the token as a header, where neither log nor history has it."""
        return self._with_cookie(Response(b"", 204, PAGE_HEADERS))

    def _with_cookie(self, answer: Response) -> Response:
        if cookie := self._rule.cookie():
            answer.set_cookie(COOKIE, cookie, max_age=_COOKIE_AGE_S, httponly=True, samesite="strict")
        return answer

    async def status(self, request: Request) -> Response:
        runtime = await asyncio.to_thread(self._look)
        wanted = Wanted(*(_number(request, name) for name in ("limit", "from", "since", "run")))
        return Response(json.encode(whole(self._site, runtime, wanted)), 200, PAGE_HEADERS, "application/json")

    async def trends(self, request: Request) -> Response:
        device, hours = request.query_params.get("device", ""), _number(request, "hours")
        if hours not in SPANS_S:
            return Response(f"hours: one of {', '.join(map(str, SPANS_S))}\n", 400, PAGE_HEADERS, "text/plain")
        runtime = await asyncio.to_thread(self._look)
        now_us = WallUs(runtime.now_us + runtime.ahead_us)
        try:
            found = await asyncio.to_thread(trends, self._sources.load_trends, device, hours, now_us)
        except SpoolError as error:
            return Response(f"{error}\n", 503, PAGE_HEADERS, "text/plain")
        return Response(json.encode(found), 200, PAGE_HEADERS, "application/json")

    async def log(self, request: Request) -> Response:
        runtime = await asyncio.to_thread(self._look)
        frames = log(self._site, _number(request, "since"), runtime.ahead_us)
        return Response(json.encode(frames), 200, PAGE_HEADERS, "application/json")

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

    async def strangers(self, request: Request) -> Response:
        try:
            kept = await asyncio.to_thread(self._sources.load_strangers)
        except SpoolError as error:
            return Response(f"{error}\n", 503, PAGE_HEADERS, "text/plain")
        found = PageStrangers(self._may_edit, [stranger(each) for each in kept])
        return Response(json.encode(found), 200, PAGE_HEADERS, "application/json")

    @property
    def _may_edit(self) -> bool:
        return self._sources.answer_form is not None and self._rule.has_token

    async def form(self, request: Request) -> Response:
        """Try a device, or add it: one at a time, and only for who has the token."""
        answer = self._sources.answer_form
        if answer is None or not self._rule.has_token or not _is_form(request):
            return Response(_NO_EDIT, 403, PAGE_HEADERS, "text/plain")
        try:
            body = await asyncio.wait_for(request.body(), _BODY_S)
        except (TimeoutError, ClientDisconnect):
            return Response("the form did not arrive\n", 408, PAGE_HEADERS, "text/plain")
        async with self._forms:
            found = await asyncio.to_thread(answer, body)
        return Response(json.encode(found), 200, PAGE_HEADERS, "application/json")

    async def metrics(self, request: Request) -> Response:
        from lora_post.status.prometheus import CONTENT_TYPE, metrics_text  # only for those who have a Prometheus

        text = await asyncio.to_thread(
            metrics_text,
            self._sources.metrics,
            self._site,
            self._look,
            sensor_values=self._sources.sensor_values,
        )
        return Response(text, 200, PAGE_HEADERS, CONTENT_TYPE)

    async def healthz(self, request: Request) -> Response:
        return _health(faults(await asyncio.to_thread(self._look)))

    async def readyz(self, request: Request) -> Response:
        runtime = await asyncio.to_thread(self._look)
        return _health(obstacles(runtime, self._site.devices()))


def _file(request: Request) -> Response:
    package, name, subtype = _FILES[request.url.path]
    content = page_file(package, name)
    tag = f'"{blake2b(content, digest_size=8).hexdigest()}"'
    headers = PAGE_HEADERS | {"ETag": tag}
    # A proxy on the way may have compressed it and marked the tag as weak.
    if request.headers.get("if-none-match", "").removeprefix("W/") == tag:
        return Response(b"", 304, headers)
    return Response(content, 200, headers, f"text/{subtype}")


def _number(request: Request, name: str) -> int:
    """Return a whole number of the query, 0 for anything else."""
    return _whole(request.query_params.get(name, ""))


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _health(problems: list[str]) -> Response:
    text = "".join(f"{problem}\n" for problem in problems) or "ok\n"
    return Response(text, 503 if problems else 200, PAGE_HEADERS, "text/plain")
