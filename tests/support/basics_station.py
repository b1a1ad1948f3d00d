"""A LoRa Basics Station: it asks where to go, connects there, and takes frames apart as the real one does.

Source: lorabasics/basicstation: doc/tcproto; src/lora.c.
"""

from __future__ import annotations

import json
import ssl
from contextlib import ExitStack
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.support.command import PATIENCE_S

EUI = "b827ebfffe112233"
SESSION = 0x5A << 48
DATA_RATES = {"SF7BW125": 5, "SF10BW125": 2, "SF12BW125": 0}


def signed(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


def eui(data: bytes) -> str:
    return data[::-1].hex("-").upper()


def taken_apart(phy: bytes) -> dict[str, Any]:
    """The fields of a frame, as a station sends them."""
    kind = phy[0] & 0xE0
    if kind == 0xE0:
        return {"msgtype": "propdf", "FRMPayload": phy.hex().upper()}
    if kind in (0x00, 0xC0):
        return {
            "msgtype": "jreq" if kind == 0 else "rejoin",
            "MHdr": phy[0],
            "JoinEui": eui(phy[1:9]),
            "DevEui": eui(phy[9:17]),
            "DevNonce": int.from_bytes(phy[17:19], "little"),
            "MIC": signed(phy[19:]),
        }
    behind = 8 + (phy[5] & 0x0F)
    has_port = behind < len(phy) - 4
    return {
        "msgtype": "updf",
        "MHdr": phy[0],
        "DevAddr": signed(phy[1:5]),
        "FCtrl": phy[5],
        "FCnt": int.from_bytes(phy[6:8], "little"),
        "FOpts": phy[8:behind].hex().upper(),
        "FPort": phy[behind] if has_port else -1,
        "FRMPayload": phy[behind + 1 : -4].hex().upper(),
        "MIC": signed(phy[-4:]),
    }


class BasicsStation:
    """One station; `router` as it writes its EUI when it asks where to go."""

    def __init__(self, port: int, router: object = "b827:ebff:fe11:2233", tls: ssl.SSLContext | None = None) -> None:
        self.port, self.router, self.tls = port, router, tls
        self.base = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}"
        self.socket: ClientConnection
        self._open = ExitStack()
        self.config: dict[str, Any] = {}

    def __enter__(self) -> BasicsStation:
        self.connect(self.discover()["uri"])
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def discover(self) -> dict[str, Any]:
        while True:
            try:
                with connect(
                    f"{self.base}/router-info", ssl=self.tls, compression=None, open_timeout=PATIENCE_S
                ) as asked:
                    asked.send(json.dumps({"router": self.router}))
                    return json.loads(asked.recv(PATIENCE_S))  # type: ignore[no-any-return]
            except ConnectionRefusedError:  # it is not there yet
                continue

    def _connected(self, uri: str) -> ClientConnection:
        return connect(uri, ssl=self.tls, compression=None, open_timeout=PATIENCE_S)

    def connect(self, uri: str) -> None:
        self.socket = self._open.enter_context(self._connected(uri))
        self.say({"msgtype": "version", "station": "2.0.6(linux/std)", "model": "linux", "protocol": 2})
        self.config = self.hear()

    def say(self, message: dict[str, Any]) -> None:
        self.socket.send(json.dumps(message))

    def hear(self) -> dict[str, Any]:
        return json.loads(self.socket.recv(PATIENCE_S))  # type: ignore[no-any-return]

    def push(self, phy: bytes, us: int, *, freq: int = 868_100_000, datr: str = "SF7BW125") -> None:
        """Hand a frame to the server. us: of the concentrator's clock."""
        info = {"rctx": 3, "xtime": SESSION + us, "gpstime": 0, "rssi": -60, "snr": 8.5, "rxtime": 1700000000.0}
        self.say({**taken_apart(phy), "DR": DATA_RATES[datr], "Freq": freq, "upinfo": info, "RefTime": 0.0})

    def downlink(self, *, sent: bool = True) -> dict[str, Any]:
        """Wait for a frame to send; return it, and tell the server that it is sent; of DevEUI 0 nothing is told."""
        message = self.hear()
        assert message["msgtype"] == "dnmsg"
        if sent and message["DevEui"].strip("0-"):
            at = message.get("xtime", 0) + message["RxDelay"] * 1_000_000
            done = {"msgtype": "dntxed", "diid": message["diid"], "DevEui": message["DevEui"], "rctx": 3, "xtime": at}
            self.say({**done, "txtime": 1700000000.0, "gpstime": 0})
        return message
