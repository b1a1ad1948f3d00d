"""Decide who may see the page: on loopback everybody of this machine, elsewhere who has the token."""

from __future__ import annotations

import hashlib
from hmac import compare_digest
from typing import Final

from msgspec import Struct

from lora_post.net.hosts import is_this_machine
from lora_post.net.visitors import host_name
from lora_post.secret import Secret

COOKIE: Final = "lora_post_status"


class Credentials(Struct, frozen=True):
    """What a request shows of itself. bearer: after `Authorization: Bearer`; query: `token` in the address."""

    host: str
    bearer: str = ""
    cookie: str = ""
    query: str = ""


class AccessRule:
    """Which requests are answered. token None: the page is on loopback."""

    def __init__(self, token: Secret | None) -> None:
        self._token = token

    @property
    def has_token(self) -> bool:
        """Whether who shows the token is admitted."""
        return self._token is not None

    def admits(self, credentials: Credentials) -> bool:
        """Return whether this request may see anything."""
        if self._token is None:
            # Another site's page that got this address by its own DNS still names that site as the host.
            return is_this_machine(host_name(credentials.host))
        return (
            self.knows(credentials.bearer)
            or self.knows(credentials.query)
            or compare_digest(credentials.cookie.encode(), self.cookie().encode())
        )

    def knows(self, token: str) -> bool:
        """Return whether this is the token."""
        return self._token is not None and compare_digest(token.encode(), self._token.reveal().encode())

    def cookie(self) -> str:
        """Return what the browser keeps in place of the token, which must not lie in its profile."""
        if self._token is None:
            return ""
        return hashlib.blake2b(b"status cookie", key=self._token.reveal().encode()[:64], digest_size=16).hexdigest()
