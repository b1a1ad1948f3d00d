"""Make the join-requests of a device, and check the join-accepts that answer them.

Sources: LoRaWAN 1.0.4, section 6.2; LoRaWAN 1.1, section 6.2.
"""

from __future__ import annotations

from enum import StrEnum
from random import Random

from lora_post.lorawan.join_messages import JoinAccept, build_join_request, build_rejoin_request, parse_join_accept
from lora_post.lorawan.root_keys import JOIN_REQUEST_TYPE, RootKeys
from lora_post.lorawan.session_keys import AnySessionKeys, SessionKeys11


class Version(StrEnum):
    """Which LoRaWAN a device speaks."""

    V1_0_3 = "1.0.3"
    V1_0_4 = "1.0.4"
    V1_1 = "1.1"


class UnfitAccept(Exception):
    """A join-accept that a device must not believe, and why."""


class Joining:
    """The root keys of a device, and the nonces that it has used and heard."""

    def __init__(self, root: RootKeys, version: Version, random: Random, first_dev_nonce: int) -> None:
        """first_dev_nonce: of a device that counts them."""
        self._root, self._version, self._random = root, version, random
        self._dev_nonce = first_dev_nonce - 1
        self._used_nonces: set[int] = set()
        self._join_nonce = -1

    def request(self) -> bytes:
        """Return the next join-request."""
        if self._version is Version.V1_0_3:
            self._dev_nonce = next(
                nonce for nonce in iter(lambda: self._random.randrange(1 << 16), -1) if nonce not in self._used_nonces
            )
            self._used_nonces.add(self._dev_nonce)
        else:
            self._dev_nonce += 1
        signed = build_join_request(self._root.join_eui, self._root.dev_eui, self._dev_nonce)
        return signed + self._root.request_mic(signed)

    def rejoin_request(self, kind: int, keys: AnySessionKeys, count: int) -> bytes:
        """Return a rejoin-request of type 0 or 2. count: RJcount0."""
        assert isinstance(keys, SessionKeys11)  # noqa: S101 - others do not rejoin
        signed = build_rejoin_request(kind, 0, self._root.dev_eui, count)
        return signed + keys.rejoin_mic(signed)

    def opened(self, phy_payload: bytes, rejoin: tuple[int, int] | None) -> tuple[JoinAccept, AnySessionKeys]:
        """Return a join-accept with the keys that follow from it.

        rejoin: type and count of the rejoin-request that it answers; None: it answers the last join-request.
        Raises UnfitAccept, and FrameError for one that cannot be read.
        """
        if rejoin is None:
            clear, kind, nonce = self._root.open_accept(phy_payload[1:]), JOIN_REQUEST_TYPE, self._dev_nonce
        else:
            clear, (kind, nonce) = self._root.open_rejoin_accept(phy_payload[1:]), rejoin
        accept = parse_join_accept(phy_payload[0], clear)
        if accept.mic != self._root.accept_mic(accept.signed, nonce, opt_neg=accept.opt_neg, answers=kind):
            raise UnfitAccept("a join-accept with a wrong MIC")
        if self._version is not Version.V1_0_3 and accept.join_nonce <= self._join_nonce:
            raise UnfitAccept(f"JoinNonce {accept.join_nonce} after {self._join_nonce}: it is locked out")
        if accept.opt_neg is not (self._version is Version.V1_1):
            raise UnfitAccept("a join-accept of another LoRaWAN version")
        self._join_nonce = accept.join_nonce
        return accept, self._root.session_keys(accept.join_nonce, accept.net_id, nonce, opt_neg=accept.opt_neg)
