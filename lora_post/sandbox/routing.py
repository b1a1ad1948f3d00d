"""From a method and a path to an endpoint.

Source: servant 0.16.2, src/Servant/Server/Internal/Router.hs: a path is cut at its slashes before it is
decoded, one trailing slash is tolerated, HEAD is answered wherever GET is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from lora_post.sandbox.endpoint import Endpoint
from lora_post.sandbox.errors import ErrorAnswer, no_route

PREFIX = ("api", "v2")


class Routes:
    """All endpoints, found by path, then by method."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._paths: dict[int, dict[tuple[str, ...], dict[str, Endpoint]]] = defaultdict(dict)
        for endpoint in endpoints:
            pattern = (*PREFIX, *endpoint.path.split("/"))
            methods = self._paths[len(pattern)].setdefault(pattern, {})
            methods[endpoint.method] = endpoint

    def find(self, method: str, raw_path: bytes) -> tuple[Endpoint, dict[str, str]]:
        """Return the endpoint and what stands in its braces. Raises ErrorAnswer 404 or 405."""
        segments = _segments(raw_path)
        fitting = [
            (methods, ids)
            for pattern, methods in self._paths.get(len(segments), {}).items()
            if (ids := _match(pattern, segments)) is not None
        ]
        if not fitting:
            raise no_route()
        for methods, ids in fitting:
            endpoint = methods.get("GET" if method == "HEAD" else method)
            if endpoint is not None:
                return endpoint, ids
        raise ErrorAnswer(405)


def _segments(raw_path: bytes) -> list[str]:
    segments = [unquote_to_bytes(part).decode("utf-8", "replace") for part in raw_path.split(b"/")[1:]]
    return segments[:-1] if segments and not segments[-1] else segments


def _match(pattern: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    ids: dict[str, str] = {}
    for wanted, found in zip(pattern, segments, strict=True):
        if wanted.startswith("{"):
            ids[wanted[1:-1]] = found
        elif wanted != found:
            return None
    return ids
