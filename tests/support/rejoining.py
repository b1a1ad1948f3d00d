"""A device of LoRaWAN 1.1 that asks for another session while it has one."""

from __future__ import annotations

from lora_post.lorawan.join_messages import build_rejoin_request, parse_join_accept
from lora_post.lorawan.session_keys import SessionKeys11
from tests.support.forwarder import JoiningDevice


class RejoiningDevice(JoiningDevice):
    """It believes an answer as the specification has it."""

    def rejoin(self, kind: int, count: int) -> bytes:
        """Return a rejoin-request."""
        assert isinstance(self.keys, SessionKeys11)
        signed = build_rejoin_request(kind, 0, self.root.dev_eui, count)
        return signed + self.keys.rejoin_mic(signed)

    def take(self, phy_payload: bytes, kind: int, count: int) -> None:
        """Take the join-accept that answers a rejoin-request, and open its session."""
        accept = parse_join_accept(phy_payload[0], self.root.open_rejoin_accept(phy_payload[1:]))
        assert accept.mic == self.root.accept_mic(accept.signed, count, opt_neg=True, answers=kind)
        assert accept.join_nonce > self.join_nonce
        self.join_nonce, self.accept, self.fcnt, self.fcnt_down = accept.join_nonce, accept, 0, -1
        self.keys = self.root.session_keys(accept.join_nonce, accept.net_id, count, opt_neg=True)
