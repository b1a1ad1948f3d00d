"""Access tokens: short-lived JWTs that say who is asking.

A token that fails in any way makes its bearer a guest; nothing is rejected for it.
Source: Waziup/wazicloud-api: src/Waziup/Types.hs (FromJWT User), Utils.hs (getAuthUser).
"""

from __future__ import annotations

import uuid

import jwt

from lora_post.sandbox.access import GUEST_USER, User
from lora_post.times import WallUs

_ALGORITHM = "HS256"
_BEARER = "Bearer "
# Times are checked here against the sandbox's own clock, with no allowance, as the cloud does.
_OPTIONS: jwt.types.Options = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "require": ["exp", "iat", "preferred_username"],
}


class Tokens:
    """Issues and reads the tokens of one sandbox."""

    def __init__(self, key: bytes, lifetime_s: int) -> None:
        self._key = key
        self._lifetime_s = lifetime_s

    def issue(self, user: User, now_us: WallUs) -> str:
        """Return a new token; the ones issued before stay valid until they expire."""
        now_s = now_us // 1_000_000
        claims = {
            "jti": uuid.uuid4().hex,
            "sub": user.id,
            "preferred_username": user.username,
            "iat": now_s,
            "exp": now_s + self._lifetime_s,
        }
        if user.admin:
            claims["admin"] = True
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def user(self, authorization: str | None, now_us: WallUs) -> User:
        """Return whom an Authorization header stands for; a guest unless the token is good right now."""
        if authorization is None or not authorization.startswith(_BEARER):
            return GUEST_USER
        try:
            claims = jwt.decode(authorization[len(_BEARER) :], self._key, algorithms=[_ALGORITHM], options=_OPTIONS)
            issued_s, expires_s = float(claims["iat"]), float(claims["exp"])
        except (jwt.InvalidTokenError, TypeError, ValueError):
            return GUEST_USER
        name, subject, admin = claims["preferred_username"], claims.get("sub"), claims.get("admin")
        if not isinstance(name, str) or not issued_s <= now_us / 1_000_000 < expires_s:
            return GUEST_USER
        return User(
            name, id=subject if isinstance(subject, str) else None, admin=admin if isinstance(admin, bool) else None
        )


def user_id(username: str) -> str:
    """Return the id of a user: always the same for one name."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{username}.lora-post.sandbox"))
