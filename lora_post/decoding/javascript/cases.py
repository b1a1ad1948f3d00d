"""The form of published examples: The Things Stack's device repository, ChirpStack's tests, and `NAME.examples.json`.

Sources: TheThingsNetwork/lorawan-devices: schema.json; chirpstack/chirpstack-device-profiles: README.md.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, field


class Input(Struct):
    """What a codec is given."""

    data: list[int] | str = field(name="bytes", default_factory=list)
    fport: int = field(name="fPort", default=1)
    received: Any = field(name="recvTime", default=None)
    variables: dict[str, str | float | bool] = {}

    @property
    def payload(self) -> bytes:
        """Return its bytes. Raises ValueError."""
        return payload_of(self.data)

    @property
    def received_s(self) -> float | None:
        """Return the reception, seconds since 1970 UTC; None where it is not told, or no time."""
        received = self.received
        if isinstance(received, str):
            try:
                received = datetime.fromisoformat(received)
            except ValueError:
                return None
        if not isinstance(received, datetime):
            return None
        return received.replace(tzinfo=received.tzinfo or UTC).timestamp()


class Output(Struct):
    """What it must give: data, or an error."""

    data: Any = None
    errors: list[Any] | None = None


class Case(Struct):
    """One example. expected: ChirpStack's word for output."""

    input: Input
    type: str = "uplink"
    output: Output | None = None
    expected: Output | None = None
    normalized: Output | None = field(name="normalizedOutput", default=None)

    @property
    def wanted(self) -> Output | None:
        """Return what must come out, whichever word it has; None where it is not told."""
        return self.output or self.expected


def payload_of(data: list[int] | str) -> bytes:
    """Return the bytes of an example: hex, or a list of numbers. Raises ValueError."""
    return bytes.fromhex(data) if isinstance(data, str) else bytes(byte & 0xFF for byte in data)
