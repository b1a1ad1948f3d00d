"""A packet forwarder and a device that joins: the other ends of the way back."""

from __future__ import annotations

import json
import socket
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from lora_post.lorawan.join_messages import JoinAccept, parse_join_accept
from lora_post.lorawan.mac_body import Body
from lora_post.lorawan.mac_commands import parse_mac_commands
from lora_post.lorawan.phy_payload import MType, build_data_frame, parse_data_frame
from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import DOWNLINK, UPLINK, AnySessionKeys, SessionKeys
from tests.support.command import PATIENCE_S
from tests.support.seal import join_request, seal_11

EUI = "b827ebfffe112233"


class Forwarder:
    """Semtech's packet forwarder, with the one socket that they have for both ways."""

    def __init__(self, port: int, eui: str = EUI) -> None:
        self.eui = bytes.fromhex(eui)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(("127.0.0.1", port))

    def __enter__(self) -> Forwarder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def ask(self) -> None:
        """Ask for downlinks, until the server is there and has heard it."""
        while True:
            try:
                self.socket.send(b"\x02\x00\x01\x02" + self.eui)
                self.socket.settimeout(0.2)
                while self.socket.recv(1000)[3] != 4:
                    pass
                return
            except (TimeoutError, ConnectionRefusedError):
                continue
            finally:
                self.socket.settimeout(PATIENCE_S)

    def push(
        self, phy_payload: bytes, tmst: int, *, freq: float = 868.1, datr: str = "SF7BW125", snr: float = 8.5
    ) -> None:
        """Hand a frame to the server."""
        rxpk = {"tmst": tmst, "freq": freq, "stat": 1, "modu": "LORA", "datr": datr, "codr": "4/5"}
        rxpk |= {"rssi": -60, "lsnr": snr, "size": len(phy_payload), "data": b64encode(phy_payload).decode()}
        self.socket.send(
            b"\x02" + (tmst & 0xFFFF).to_bytes(2) + b"\x00" + self.eui + json.dumps({"rxpk": [rxpk]}).encode()
        )

    def pull_resp(self, error: str = "") -> dict[str, Any]:
        """Wait for a frame to send; return its txpk, and tell the server that it is sent, or why it is not."""
        while (datagram := self.socket.recv(1000))[3] != 3:
            pass
        body = json.dumps({"txpk_ack": {"error": error}}).encode() if error else b""
        self.socket.send(datagram[:3] + b"\x05" + self.eui + body)
        return json.loads(datagram[4:])["txpk"]  # type: ignore[no-any-return]

    def next_txpk(self, *, confirms: bool = False) -> dict[str, Any]:
        """Wait for a frame to send; return its txpk, and tell the server nothing, or that it is sent if it is there."""
        while (datagram := self.socket.recv(1000))[3] != 3:
            pass
        if confirms:
            with suppress(ConnectionRefusedError):
                self.socket.send(datagram[:3] + b"\x05" + self.eui)
        return json.loads(datagram[4:])["txpk"]  # type: ignore[no-any-return]

    def has_nothing(self) -> bool:
        """Tell whether nothing is to be sent, once the server has taken in all that was handed to it."""
        self.ask()
        self.socket.settimeout(0.3)
        try:
            while self.socket.recv(1000)[3] != 3:
                pass
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE_S)


class JoiningDevice:
    """A device that joins as the specification has it: DevNonces and JoinNonces rise, a wrong MIC is not believed."""

    def __init__(self, root: RootKeys) -> None:
        self.root = root
        self.dev_nonce = -1
        self.join_nonce = -1
        self.accept: JoinAccept | None = None
        self.keys: AnySessionKeys | None = None
        self.fcnt = 0
        self.fcnt_down = -1

    def request(self) -> bytes:
        """Return the next join-request."""
        self.dev_nonce += 1
        return join_request(self.root, self.dev_nonce)

    def hear(self, txpk: dict[str, Any]) -> JoinAccept:
        """Take a join-accept and open its session."""
        phy_payload = b64decode(txpk["data"])
        assert txpk["ipol"] is True and txpk["size"] == len(phy_payload)
        accept = parse_join_accept(phy_payload[0], self.root.open_accept(phy_payload[1:]))
        assert accept.mic == self.root.accept_mic(accept.signed, self.dev_nonce, opt_neg=accept.opt_neg)
        assert accept.opt_neg == self.root.is_11
        assert accept.join_nonce > self.join_nonce, "the device is locked out"
        self.join_nonce, self.accept, self.fcnt, self.fcnt_down = accept.join_nonce, accept, 0, -1
        self.keys = self.root.session_keys(accept.join_nonce, accept.net_id, self.dev_nonce, opt_neg=accept.opt_neg)
        return accept

    def uplink(self, payload: bytes, fport: int = 2, *, fopts: bytes = b"", confirmed: bool = False) -> bytes:
        """Return the next uplink of the session. confirmed: of LoRaWAN 1.0 only."""
        assert self.accept is not None and self.keys is not None
        fcnt, self.fcnt = self.fcnt, self.fcnt + 1
        if isinstance(self.keys, SessionKeys):
            signed = build_data_frame(
                mtype=MType.CONFIRMED_UP if confirmed else MType.UNCONFIRMED_UP,
                dev_addr=self.accept.dev_addr,
                fcnt=fcnt,
                fport=fport,
                frm_payload=self.keys.crypt(self.accept.dev_addr, fcnt, UPLINK, fport, payload),
                fopts=fopts,
            )
            return signed + self.keys.data_mic(self.accept.dev_addr, fcnt, UPLINK, signed)
        return seal_11(self.keys, self.accept.dev_addr, fcnt, fport, payload, fopts=fopts)

    def commands(self, phy_payload: bytes, acked_fcnt: int = 0) -> list[Body | None]:
        """Take an answer; return the MAC commands in it. A counter that is not above the last one is not believed."""
        assert self.accept is not None and self.keys is not None
        data = parse_data_frame(phy_payload)
        assert data.dev_addr == self.accept.dev_addr and data.fcnt16 > self.fcnt_down, "the device does not take it"
        self.fcnt_down = data.fcnt16
        fopts = data.fopts
        if isinstance(self.keys, SessionKeys):
            mic = self.keys.downlink_mic(data.dev_addr, data.fcnt16, data.signed)
        else:
            mic = self.keys.downlink_mic(data.dev_addr, data.fcnt16, data.signed, acked_fcnt)
            fopts = self.keys.crypt_fopts(data.dev_addr, data.fcnt16, fopts, DOWNLINK)
        assert mic == data.mic
        return [each.body for each in parse_mac_commands(fopts, data.mtype)]


def answer_to_one_of(
    forwarder: Forwarder, times: Iterator[int], frame: Callable[[], bytes], tries: int = PATIENCE_S // 8
) -> dict[str, Any]:
    """Send frames until one is answered; return its txpk. A busy machine misses windows."""
    for number in islice(times, tries):
        forwarder.push(frame(), 10_000_000 * number)
        forwarder.socket.settimeout(8)
        try:
            return forwarder.pull_resp()
        except TimeoutError:
            forwarder.ask()
    raise AssertionError("no answer")
