"""Remember devices over restarts: when each was last seen as ours, and begun creations."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from lora_post.spool.facts import Facts
from lora_post.times import WallUs

BEGUN: Final = "begun"
_PUBLIC: Final = "public"


class Known(Struct, frozen=True):
    """A device that we have sent for. looked_us: when it was last looked at. gateway_id: which one we were then.

    is_public: what is sent to it is taken whoever it belongs to.
    """

    looked_us: WallUs = WallUs(0)
    gateway_id: str = ""
    is_public: bool = False


class KnownDevices:
    """The devices of one server and account. All methods raise SpoolError."""

    def __init__(self, facts: Facts, gateway_id: str) -> None:
        self._facts = facts
        self._gateway_id = gateway_id

    def __contains__(self, device_id: str) -> bool:
        """Return whether we have sent for the device before, and were the one to do so at the last look."""
        return self._facts.recall().get(_device(device_id), BEGUN) != BEGUN

    def get(self, device_id: str) -> Known:
        """Return what is known of a device; earlier versions wrote less down."""
        looked_us, gateway_id, *more = (self._facts.recall().get(_device(device_id), "") + "  ").split(" ")
        return Known(WallUs(int(looked_us)), gateway_id, _PUBLIC in more) if looked_us.isdigit() else Known()

    def begin(self, device_id: str) -> None:
        """Note that the device is missing, and that we are about to create it."""
        self._facts.remember(_device(device_id), BEGUN)

    def is_begun(self, device_id: str) -> bool:
        """Return whether the device may have been created here, and was not yet seen to be this account's."""
        return self._facts.recall().get(_device(device_id)) == BEGUN

    def add(self, device_id: str, now_us: WallUs, *, is_public: bool) -> None:
        """Note that a device is there, belongs to this account, and that this gateway sends for it."""
        self._facts.remember(_device(device_id), f"{now_us} {self._gateway_id}{f' {_PUBLIC}' * is_public}")

    def forget(self, device_id: str) -> None:
        """Note that it is not; the next reading makes another look."""
        if _device(device_id) in self._facts.recall():
            self._facts.forget(_device(device_id))


def _device(device_id: str) -> str:
    return f"device {device_id}"
