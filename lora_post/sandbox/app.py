"""The application: HTTP on one side, endpoints and the page on the other.

The order of the checks is the real server's: path, method, token (never fails), Accept,
Content-Type, body, then the endpoint. Errors carry a plain body without Content-Type.

Source: servant 0.16.2, src/Servant/Server/Internal/Delayed.hs.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lora_post.sandbox.bodies import ReadBody
from lora_post.sandbox.endpoint import Call, Clock, Endpoint, Reply, Service, Settings
from lora_post.sandbox.errors import ErrorAnswer, too_large
from lora_post.sandbox.media import choose, is_json, is_text, parse_media
from lora_post.sandbox.page import Page, Visit
from lora_post.sandbox.queries import parse_query
from lora_post.sandbox.routes import all_endpoints
from lora_post.sandbox.routing import Routes
from lora_post.sandbox.state import State
from lora_post.sandbox.tokens import Tokens

MAX_BODY = 1 << 20


def create_app(state: State, settings: Settings, clock: Clock, middleware: Sequence[Middleware] = ()) -> Starlette:
    """Return the whole sandbox as an ASGI application.

    It must run in one event loop: each request is handled without a break, so two of them cannot
    interleave. middleware: starlette's, around everything.
    """
    app = Starlette(middleware=list(middleware))
    app.router.default = _Sandbox(state, settings, clock)  # we find the routes ourselves, in servant's way
    return app


class _Sandbox:
    """An ASGI application without policy of its own."""

    def __init__(self, state: State, settings: Settings, clock: Clock) -> None:
        tokens = Tokens(state.token_key(), settings.token_lifetime_s)
        self._service = Service(state, settings, tokens)
        self._clock = clock
        self._routes = Routes(all_endpoints(legacy_health=settings.legacy_health))
        self._page = Page(state)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            reply = await self._answer(request)
        except ErrorAnswer as error:
            reply = Reply(error.status, error.body.encode())
        except ClientDisconnect:
            return
        await _response(reply)(scope, receive, send)

    async def _answer(self, request: Request) -> Reply:
        page = self._page.answer(_visit(request))
        if page is not None:
            return page
        endpoint, ids = self._routes.find(request.method, request.scope["raw_path"])
        media = choose(endpoint.offers, request.headers.get("accept"))
        if media is None:
            raise ErrorAnswer(406)
        read = _reader(endpoint, request.headers.get("content-type"))
        body = None if read is None else read(await _whole_body(request))
        now_us = self._clock()
        user = self._service.tokens.user(request.headers.get("authorization"), now_us)
        query = parse_query(request.scope["query_string"])
        return endpoint.handle(Call(self._service, user, now_us, ids, query, body, media))


def _visit(request: Request) -> Visit:
    return Visit(
        method=request.method,
        path=request.scope["path"],
        client=request.client.host if request.client else "",
        host=request.headers.get("host", ""),
        known=request.headers.get("if-none-match"),
    )


def _reader(endpoint: Endpoint, content_type: str | None) -> ReadBody | None:
    """Return how the body is to be read; None: the endpoint declares none. Raises ErrorAnswer 415."""
    if endpoint.json is None and endpoint.text is None:
        return None
    content = parse_media(content_type or "application/octet-stream")
    if content is not None and endpoint.json is not None and is_json(content):
        return endpoint.json
    if content is not None and endpoint.text is not None and is_text(content):
        return endpoint.text
    raise ErrorAnswer(415)


async def _whole_body(request: Request) -> bytes:
    """Return the body, as long as it is not too long. Raises ErrorAnswer 413."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > MAX_BODY:
        raise too_large(int(announced), MAX_BODY)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise too_large(len(body), MAX_BODY)
    return bytes(body)


def _response(reply: Reply) -> Response:
    content_type = {} if reply.media is None else {"Content-Type": reply.media.text}
    return Response(reply.body, reply.status, {**content_type, **reply.headers})
