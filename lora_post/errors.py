"""The exceptions of lora-post; the tree is the documentation.

LoraPostError
├── ConfigError      the configuration: names file, key, value found, value wanted
├── FrameError       bytes that are not a frame of the protocol they claim
├── UnlockError      a well-formed frame that is not accepted
│   ├── UnknownDevice    no configured device has this address
│   ├── NoKey            the device's keys are needed and not configured
│   ├── NotEncrypted     a device with keys sent a clear frame
│   ├── BadMIC           no key of a device with this address fits
│   ├── BadAppKey        application key missing, or not on the device's list
│   ├── StaleFCnt        authentic, but its frame counter was accepted before
│   ├── Repeat           a frame without MIC that was accepted a moment ago
│   ├── NotUplink        downlink, acknowledgement, proprietary: not sensor data
│   ├── ImagePacket      a piece of a camera's picture
│   └── UsedNonce        a join-request that was heard before
├── DecodeError      the payload does not say what its decoder expects
│   ├── WrongLength · WrongFormat · BadChecksum · Implausible
│   ├── NoReading        the payload is about something else; nothing is wrong
│   ├── DecoderCrash     the decoder itself failed
│   └── DecoderHang      it takes too long, or is set aside because it did
├── SinkError        a destination did not take readings
│   ├── Unavailable      nothing was sent; try again later
│   ├── NotSent          nothing was sent, for a reason that is this sensor's alone; try again later
│   ├── MayBeThere       nothing was sent; another gateway may have sent it, so ask first
│   ├── OutcomeUnknown   perhaps sent; ask before sending again
│   └── Rejected         will not change by trying again
│       ├── BatchRefused     it is about a value, not about the sensor
│       └── Untold           what has arrived of the sensor cannot be told
└── SpoolError       disk full, schema too new
    └── SpoolDamaged     the file does not hold a spool any more

`check` is the word for the same thing in counters, logs and JSON.
"""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lora_post.model import Reading


class Problem(Struct, frozen=True):
    """What is wrong, and what a person can do about it. fix: "" for nothing."""

    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.what}; {self.fix}" if self.fix else self.what

    @property
    def advice(self) -> str:
        """What to do in words for people, "" for nothing: what asks back is to be checked, not a fix."""
        return self.fix and f"{'check' if self.fix.endswith('?') else 'fix'}: {self.fix}"

    def at(self, place: str) -> Problem:
        """Return the same problem with the place in front: `place: what`."""
        return Problem(f"{place}: {self.what}", self.fix)


class Fault(Problem, frozen=True):
    """What a restart of lora-post may end: a part of it fails again and again."""


class LoraPostError(Exception):
    """The base of all errors that lora-post raises on purpose.

    what, fix: as in `Problem`. str() has both, for one line in a log.
    """

    fix: str = ""  # also of a decoder's own kind of error, which may not call __init__

    def __init__(self, what: str, *, fix: str = "") -> None:
        super().__init__(what)
        self.fix = fix

    def __str__(self) -> str:
        return str(self.problem)

    @property
    def what(self) -> str:
        """What is wrong, without the fix."""
        return super().__str__()

    @property
    def problem(self) -> Problem:
        """The same as a value, without the traceback."""
        return Problem(self.what, self.fix)


class ConfigError(LoraPostError):
    """One or more mistakes in the configuration, one line each."""


class FrameError(LoraPostError):
    """Bytes that are not a frame of the protocol they claim."""

    check: ClassVar[str] = "frame"


class UnlockError(LoraPostError):
    """A frame that is well formed and still not accepted."""

    check: ClassVar[str]


class UnknownDevice(UnlockError):
    """No configured device has this address."""

    check = "unknown-device"


class NoKey(UnlockError):
    """The frame is encrypted and its device has no keys in the configuration."""

    check = "no-key"


class NotEncrypted(UnlockError):
    """A device that has keys sent a frame without MIC, which anybody could have sent."""

    check = "not-encrypted"


class BadMIC(UnlockError):
    """The message integrity code fits no key of any device with this address."""

    check = "mic"


class BadAppKey(UnlockError):
    """The application key of a LowCostLoRaGw frame is missing or not allowed."""

    check = "app-key"


class StaleFCnt(UnlockError):
    """An authentic frame whose counter is not above the last accepted one: a replay or a repeat.

    device: the id of the one whose key fits.
    """

    check = "replay"

    def __init__(self, what: str, device: str, *, fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.device = device


class Repeat(UnlockError):
    """A frame that equals one accepted a moment ago: its device sends it more than once."""

    check = "repeat"


class NotUplink(UnlockError):
    """A downlink, acknowledgement or proprietary frame, or a join of no configured device."""

    check = "not-uplink"


class ImagePacket(UnlockError):
    """A piece of a camera's picture, which is not put together here."""

    check = "image"


class UsedNonce(UnlockError):
    """A join-request or join-accept that was heard before: a replay or a copy."""

    check = "join-replay"


class DecodeError(LoraPostError):
    """The payload does not say what its decoder expects.

    kept: the readings decoded before the mistake; they are used, the message becomes a warning.
    """

    def __init__(self, what: str, kept: Iterable[Reading] = (), *, fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.kept = tuple(kept)


class WrongLength(DecodeError):
    """Too short or too long for the device type."""


class WrongFormat(DecodeError):
    """Wrong FPort, version, type byte or syntax."""


class BadChecksum(DecodeError):
    """The payload's own checksum does not fit."""


class Implausible(DecodeError):
    """A value that the sensor cannot measure."""


class NoReading(DecodeError):
    """A payload that is not meant to carry readings: a log text, a start-up message."""


class DecoderCrash(DecodeError):
    """The decoder raised another exception, or did not return a list of readings."""


class DecoderHang(DecodeError):
    """The decoder did not end in time, or is not called any more because it did not."""


class SinkError(LoraPostError):
    """A destination did not take readings.

    retry_after_s: how long it asked to be left alone, in seconds; None when it did not say.
    """

    def __init__(self, what: str, retry_after_s: float | None = None, *, fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.retry_after_s = retry_after_s


class Unavailable(SinkError):
    """Nothing was sent: no network, no name, refused, told to wait."""


class NotSent(SinkError):
    """Nothing of a batch was sent: its sensor is not ready for readings yet. The other sensors may be."""


class MayBeThere(SinkError):
    """Nothing of a batch was sent: another writer may have sent these readings, so the sink is to be asked first.

    since_us: when the other may have begun, by the sink's clock, in µs since 1970 UTC.
    """

    def __init__(self, what: str, since_us: int) -> None:
        super().__init__(what)
        self.since_us = since_us


class OutcomeUnknown(SinkError):
    """Sent, but no answer says whether it was stored."""


class Rejected(SinkError):
    """Refused, and would be refused again: this sensor's readings wait for a person."""


class BatchRefused(Rejected):
    """A value of this batch is refused; values before it may have been stored."""


class Untold(Rejected):
    """What has arrived of a sensor cannot be told: others send so much to it that a look does not find the end."""


class SpoolError(LoraPostError):
    """The spool file: disk full, not writable, written by a newer version."""


class SpoolDamaged(SpoolError):
    """The spool file is damaged, or is not a database at all."""


log = logging.getLogger(__name__)

_MAX_TOLD: Final = 64
_told: set[str] = set()


def defect(error: Exception) -> str:
    """Return the type of an exception and the function that raised it; log its traceback the first time."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}, {frames[-1].name}" if frames else ""
    text = f"{type(error).__name__}{place}"
    if text not in _told and len(_told) < _MAX_TOLD:
        _told.add(text)
        log.error("lora-post itself failed, please report this: %s", text, exc_info=error)
    return text
