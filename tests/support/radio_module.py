"""RN2483 and RAK RUI3 at the other end of a pseudo-terminal, answering as their manuals say."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path
from threading import Thread

from msgspec import Struct


class OnAir(Struct, frozen=True):
    """A frame that a module has sent. settings: what it was told by then."""

    phy_payload: bytes
    at_s: float
    settings: dict[str, str]


class RadioModule:
    """A module with a state: it sends only while it does not receive. says: lines before the answer to a command."""

    def __init__(self, path: Path) -> None:
        self.heard: list[str] = []
        self.on_air: list[OnAir] = []
        self.settings: dict[str, str] = {}
        self.refuses: dict[str, str] = {}
        self.says: dict[str, str] = {}
        self.is_receiving = False
        self.is_mute = False
        self.fd, self._terminal = os.openpty()
        path.symlink_to(os.ttyname(self._terminal))
        self._gone, self._go = os.pipe()
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        held = b""
        while self._gone not in select.select([self.fd, self._gone], [], [])[0]:
            *commands, held = (held + os.read(self.fd, 1024)).split(b"\r\n")
            for command in map(bytes.decode, commands):
                self.heard.append(command)
                if command in self.says:
                    self.say(self.says.pop(command))
                refused = next((line for name, line in self.refuses.items() if command.startswith(name)), None)
                self.say(*([refused] if refused else self.answer(command)))

    def say(self, *lines: str) -> None:
        os.write(self.fd, "".join(f"{line}\r\n" for line in lines).encode())

    def answer(self, command: str) -> list[str]:
        raise NotImplementedError

    def _send(self, data: str) -> None:
        self.on_air.append(OnAir(bytes.fromhex(data), time.monotonic(), dict(self.settings)))

    def close(self) -> None:
        os.write(self._go, b"x")
        self._thread.join()
        for fd in (self._gone, self._go, self._terminal, self.fd):
            os.close(fd)


class Rn2483Module(RadioModule):
    def hear(self, phy_payload: bytes) -> None:
        """Receive a frame, which ends receiving."""
        assert self.is_receiving
        self.is_receiving = False
        self.say(f"radio_rx  {phy_payload.hex()}")

    def answer(self, command: str) -> list[str]:
        words = command.split()
        match words:
            case ["mac", "pause"]:
                return ["4294967245"]
            case ["radio", "get", what]:
                return [{"snr": "8", "rssi": "-57"}[what]]
            case ["radio", "rxstop"]:
                self.is_receiving = False
                return ["ok"]
            case ["radio", ("rx" | "tx"), _] if self.is_receiving:
                return ["busy"]
            case ["radio", "rx", "0"]:
                self.is_receiving = True
                return ["ok"]
            case ["radio", "tx", data]:
                self._send(data)
                return ["ok"] if self.is_mute else ["ok", "radio_tx_ok"]
            case ["radio", "set", name, value]:
                self.settings[name] = value
                return ["ok"]
        return ["invalid_param"]


class RakModule(RadioModule):
    def hear(self, phy_payload: bytes) -> None:
        """Receive a frame, and go on receiving."""
        assert self.is_receiving
        self.say(f"+EVT:RXP2P:-57:8:{phy_payload.hex().upper()}")

    def answer(self, command: str) -> list[str]:
        name, _, value = command.removeprefix("AT+").partition("=")
        if name == "PRECV":
            self.is_receiving = value != "0"
            return ["OK"]
        if self.is_receiving:
            return ["AT_BUSY_ERROR"]
        if name == "PSEND":
            self._send(value)
            return ["OK"] if self.is_mute else ["OK", "+EVT:TXP2P DONE"]
        self.settings[name] = value
        return ["OK"]
