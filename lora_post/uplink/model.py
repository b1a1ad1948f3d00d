"""From a frame to a report: session, uplink, what was decoded of it, or why it was refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from msgspec import Struct
from msgspec.structs import replace

from lora_post.errors import FrameError, Problem, StaleFCnt, UnlockError
from lora_post.model import Actuator, Device, Frame, LeftOut, Link, Reading


class Session(Struct, frozen=True, gc=False):
    """A device and the lowest FCnt that it may use next; 0: no frame was accepted yet."""

    device: Device
    next_fcnt: int = 0


FindSessions: TypeAlias = Callable[[Link, int], Sequence[Session]]
"""Returns the sessions of all devices with this address."""


class Uplink(Struct, frozen=True, gc=False):
    """A frame whose device is known and whose payload is clear.

    fcnt: the full 32-bit FCnt, or the 4-byte header's sequence number.
    fport: None where the frame has none. authentic: a MIC was verified, here.
    payload: the clear application bytes; MAC commands when fport is 0.
    is_late: newer frames of the device were accepted before it.
    """

    frame: Frame
    device: Device
    fcnt: int
    fport: int | None
    payload: bytes
    authentic: bool
    is_late: bool = False


IsRepeat: TypeAlias = Callable[[Uplink, int], bool]
"""Tells whether an uplink was heard within so many µs; if not, notes it as heard."""


class MaybeLate(StaleFCnt):
    """A counter below the newest one, of a device that only counts up: a frame that was not heard, or a replay.

    uplink: what is accepted if it was not heard. is_newest: it has the counter of the newest that was accepted.
    """

    def __init__(self, refused: StaleFCnt, uplink: Uplink, *, is_newest: bool) -> None:
        super().__init__(refused.what, refused.device, fix=refused.fix)
        self.uplink = uplink
        self.is_newest = is_newest


def newest_again(error: UnlockError) -> Uplink | None:
    """Return the uplink of a frame that was refused with the newest counter of its session; None for others."""
    if isinstance(error, MaybeLate) and error.is_newest:
        return replace(error.uplink, is_late=False)
    return None


class MaybeRestarted(StaleFCnt):
    """A counter that fell back, of a device that may restart.

    uplink, session: what is accepted once a restart is proved.
    """

    def __init__(self, refused: StaleFCnt, uplink: Uplink, session: Session) -> None:
        super().__init__(refused.what, refused.device, fix=refused.fix)
        self.uplink = uplink
        self.session = session


class Report(Struct, frozen=True, gc=False):
    """All readings of one uplink.

    problem: why there are no readings although there should be. What was decoded before a mistake is used,
    and the mistake is a warning. data, actuators, metadata, left_out: as in `Decoded`.
    """

    uplink: Uplink
    readings: tuple[Reading, ...]
    warnings: tuple[str, ...] = ()
    problem: str | None = None
    data: object = None
    actuators: tuple[Actuator, ...] = ()
    metadata: tuple[Reading, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


Decode: TypeAlias = Callable[[Uplink], Report]


@runtime_checkable
class Expects(Protocol):
    """A `Decode` that takes less time for many uplinks when it is told of them before."""

    def expect(self, uplinks: Sequence[Uplink]) -> None:
        """Note uplinks that it will be called with next."""
        ...


class Refusal(Struct, frozen=True):
    """A refused frame: which check failed, why, and what a person can do about it.

    known: the id of the device whose frame this is, when it or a newer one was accepted already; "" otherwise.
    """

    frame: Frame
    check: str
    detail: str
    known: str = ""
    fix: str = ""

    @classmethod
    def of(cls, frame: Frame, error: FrameError | UnlockError, known: str = "") -> Refusal:
        """Return the refusal that says what the error does."""
        return cls(frame, error.check, error.what, known, error.fix)

    @property
    def problem(self) -> Problem:
        """Return reason and fix as one."""
        return Problem(self.detail, self.fix)


class Copy(Struct, frozen=True):
    """An uplink heard once more, by another gateway.

    frame: as that gateway heard it. uplink: as it was accepted.
    """

    frame: Frame
    uplink: Uplink
