"""The time as far as it can be trusted, and the times of frames by it.

The truth is the time since boot plus an offset. The offset is the system clock's, once something vouches for
that: a time daemon, a battery-backed clock, or the server, whose answers carry a date. A system clock that the
server contradicts gives way to the server's date. Until then times are on the scale of unknown times (`clock`).

Inputs stamp frames by the system clock, or by the times that the radio program tells; `stamp` puts right what
the system clock had wrong, follows its jumps, and turns away what cannot be true.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from enum import Enum
from threading import RLock
from typing import Final

import msgspec
from msgspec import Struct

from lora_post.clocks.scale import boot_zero, is_unknown, utc_text
from lora_post.clocks.system import SET_FROM_US, SET_UNTIL_US, System
from lora_post.errors import Problem
from lora_post.model import ClearUplink, Frame, Heard, Noise
from lora_post.times import BootUs, StampUs, WallUs

log = logging.getLogger(__name__)

TOLERANCE_US: Final = 5_000_000
"""How far the system clock may be from the server's, which tells whole seconds."""

AHEAD_US: Final = 5_000_000
"""How far a live frame may come from the future, when another machine's clock told its time."""

LIVE_DAYS: Final = 1
SERVER_DAYS: Final = 365
"""How old an uplink of a network server may be: a broker keeps it while nobody fetches it."""
SERVER_AHEAD_US: Final = 1_800_000_000
"""How far it may come from the future: a time zone is wider, and clocks that are set are closer."""

LORA_FROM_US: Final = WallUs(1_420_070_400_000_000)
"""2015, when LoRaWAN 1.0 came out: what is older has no clock."""

_DAY_US: Final = 86_400_000_000
_SAME_CLOCK_US: Final = 500_000  # the clock that told a frame's time and the one read after it are one
_NEAR_US: Final = 4_500_000  # less than TOLERANCE_US: true times are never taken for those of a wrong clock
_JUMP_US: Final = 50_000  # less is what a busy machine needs to read two clocks
_PIPE_US: Final = 60_000_000  # how long bytes may be under way from the radio program
NOBODY_COMES_US: Final = BootUs(180_000_000)  # a time daemon with a link needs a minute or two after boot
_LOOK_EVERY_US: Final = 5_000_000
_YEAR_US: Final = 365 * _DAY_US
_HOUR_US: Final = 3_600_000_000
_HOLD_US: Final = 10_000_000
_MAX_NAMED: Final = 100


class Times(Enum):
    """What the times that an input tells are worth."""

    RECORDED = "recorded"
    """A capture: its times are the truth."""
    PIPED = "piped"
    """A program on this machine, with this machine's clock; or a capture that is piped in."""
    LIVE = "live"
    """What is received now, its time told by a clock that may be anybody's."""


class Jump(Struct, frozen=True):
    """The system clock was set: what it was ahead of the time since boot before, and until when."""

    offset_us: WallUs
    until_us: BootUs


class GatewayClock:
    """One machine's time, for all threads of a process."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.boot_id = system.boot_id
        self._lock = RLock()
        self._zero_us = boot_zero(0)
        self._wall_offset_us = WallUs(system.wall_us() - system.boot_us())
        self._offset_us: WallUs | None = None
        self._agreed_us: WallUs | None = None  # by what vouches for the system clock, and by the server
        self._server_ahead_us = 0
        self._jumps: list[Jump] = []
        self._hold_us = WallUs(0)
        self._look_at_us = BootUs(0)
        self._named: set[str] = set()

    @property
    def offset_us(self) -> WallUs | None:
        """Return UTC at boot in µs since 1970; None while it is not known."""
        return self._offset_us

    def wall_us(self) -> WallUs:
        """Return UTC in µs since 1970, by the system clock while nothing better is known."""
        offset_us = self._offset_us
        return self._system.wall_us() if offset_us is None else offset_us + self._system.boot_us()

    def stamp_us(self) -> StampUs:
        """Return the time that a frame would get which came now."""
        with self._lock:
            return self._now(self.look())

    def trouble(self) -> Problem | None:
        """Return what is wrong with the time."""
        with self._lock:
            self.look()
            if self._offset_us is None:
                return Problem("the time is not known yet, readings wait for it", "is there a link, or a time daemon?")
            apart_us, ahead_us = self._wall_offset_us - self._offset_us, self._server_ahead_us
        if abs(apart_us) <= TOLERANCE_US:
            if abs(ahead_us) < _HOUR_US:
                return None
            what = f"the server's clock is {ahead_us / 1e6:+.0f} s from this one, which a time daemon has set"
            return Problem(what, "readings go with this clock's time; see that it is right: timedatectl")
        return Problem(f"the system clock is {apart_us / 1e6:+.0f} s from the right time", "is a time daemon running?")

    def boot_us(self) -> BootUs:
        """µs since boot."""
        return self._system.boot_us()

    def moment(self) -> tuple[BootUs, StampUs]:
        """Return now in µs since boot and as frames are stamped: unknown while the time is."""
        with self._lock:
            boot_us = self._system.boot_us()
            return boot_us, self._now(boot_us)

    def take_slot(self, slot: int) -> None:
        """Return the place of this boot on the scale of unknown times."""
        self._zero_us = boot_zero(slot)

    def look(self) -> BootUs:
        """Follow the system clock as far as it is confirmed; return µs since boot."""
        with self._lock:
            boot_us = self._system.boot_us()
            if abs(self._system.wall_us() - boot_us - self._wall_offset_us) > _JUMP_US:
                self._see_jump()
            if self._offset_us != self._wall_offset_us and boot_us >= self._look_at_us:
                self._look_at_us = boot_us + _LOOK_EVERY_US
                if self._system.vouches() and not self._is_denied():
                    self._follow(self._wall_offset_us)
            while self._jumps and boot_us - self._jumps[0].until_us > _PIPE_US:
                del self._jumps[0]
            return boot_us

    def _is_denied(self) -> bool:
        """Tell whether a daemon sets the clock by years from what it and the server had agreed on.

        A receiver for satellites goes back by 1,024 weeks when their count begins anew.
        """
        return self._agreed_us is not None and abs(self._wall_offset_us - self._agreed_us) > _YEAR_US

    def _see_jump(self) -> None:
        """Find out whether the system clock was set: only then does its distance from the clock since boot change."""
        for _ in range(5):  # unless this thread was put to sleep between the two
            before_us = self._system.boot_us()
            offset_us = WallUs(self._system.wall_us() - before_us)
            if self._system.boot_us() - before_us < _JUMP_US // 10:
                break
        jump_us = offset_us - self._wall_offset_us
        if abs(jump_us) <= _JUMP_US:
            return
        self._jumps.append(Jump(self._wall_offset_us, before_us))
        self._wall_offset_us = offset_us
        self._look_at_us = BootUs(0)
        if self._offset_us is None:
            return
        if not self._system.vouches():
            log.warning(
                "the system clock was set by %+.1f s, not by a time daemon; readings keep to the time since boot",
                jump_us / 1e6,
            )
        elif self._is_denied():
            log.warning(
                "the system clock was set by %+.1f s, and the server knew better; readings keep to the time since boot",
                jump_us / 1e6,
            )

    def _follow(self, offset_us: WallUs) -> None:
        """Take this for the time from now on; times go on rising where that is possible."""
        old_us, self._offset_us = self._offset_us, offset_us
        if old_us is None:
            log.debug("the clock is confirmed: %s", utc_text(offset_us + self._system.boot_us()))
            return
        log.warning("the clock was corrected by %+.1f s; readings from now on follow it", (offset_us - old_us) / 1e6)
        if 0 < old_us - offset_us <= _HOLD_US:
            self._hold_us = old_us + self._system.boot_us()

    def adopt(self, offset_us: WallUs) -> None:
        """Take over the time that another process of this boot has learned."""
        with self._lock:
            self.look()
            if self._offset_us is None:
                self._follow(offset_us if abs(offset_us - self._wall_offset_us) > _JUMP_US else self._wall_offset_us)

    def vouch(self, low_us: WallUs, high_us: WallUs) -> None:
        """Take in the date of a server: UTC at boot lies between these two."""
        with self._lock:
            self.look()
            low_us, high_us = low_us - TOLERANCE_US, high_us + TOLERANCE_US
            middle_us = WallUs((low_us + high_us) // 2)
            apart_s = (self._wall_offset_us - middle_us) / 1e6
            wall_is_right = low_us <= self._wall_offset_us <= high_us
            is_right = self._offset_us is not None and low_us <= self._offset_us <= high_us
            self._server_ahead_us = 0
            if wall_is_right and not is_right:
                self._follow(self._wall_offset_us)
            if wall_is_right or is_right:
                if self._offset_us == self._wall_offset_us and self._system.vouches():
                    self._agreed_us = self._offset_us
            elif self._offset_us == self._wall_offset_us and self._system.vouches():
                self._server_ahead_us = middle_us - self._wall_offset_us
                self._say(
                    "server", "the server's clock is %+.0f s from this one, which a time daemon has set", -apart_s
                )
            else:
                self._say("system", "the system clock is %+.0f s from the server's; readings get the server's", apart_s)
                self._follow(middle_us)

    def believe(self) -> None:
        """Believe the system clock, unless it was never set: nothing else tells the time.

        Not soon after boot: a board without a battery goes on from its last shutdown until a time daemon has a link.
        """
        with self._lock:
            boot_us = self.look()
            if boot_us < NOBODY_COMES_US:
                return
            if self._offset_us is None and self._wall_offset_us + boot_us >= SET_FROM_US:
                self._say("nobody", "neither a time daemon nor a server tells the time: the system clock is believed")
                self._follow(self._wall_offset_us)

    def stamp(self, events: Sequence[Heard], times: Times) -> Sequence[Heard]:
        """Return frames with their times by this clock, and not by the system's.

        Uplinks that a network server tells of keep their times, which are that server's, as far as those are within
        reason: a server passes on what a gateway's wrong clock says.
        """
        with self._lock:
            boot_us = self.look()
            now_us = self._now(boot_us)
            is_right = self._offset_us == self._wall_offset_us and not self._jumps and now_us > self._hold_us
            if is_right and self._keep_time(events, times, now_us):
                return events
            return [self._stamp_event(event, times, boot_us) for event in events]

    def _stamp_event(self, event: Heard, times: Times, boot_us: BootUs) -> Heard:
        if isinstance(event, Frame):
            return self._stamp(event, times, boot_us)
        now_us = self._now(boot_us)
        if not isinstance(event, ClearUplink) or self._keeps_time(event, times, now_us):
            return event
        is_ahead = event.frame.time_us > max(self.wall_us(), SET_FROM_US)
        self._say_wrong(event.frame, "ahead" if is_ahead else "more than a year old")
        frame, *copies = [msgspec.structs.replace(each, time_us=now_us) for each in (event.frame, *event.copies)]
        return msgspec.structs.replace(event, frame=frame, copies=tuple(copies))

    def _keep_time(self, events: Sequence[Heard], times: Times, now_us: StampUs) -> bool:
        """Tell whether the times of all events can be true; now_us may be unknown."""
        oldest_us, newest_us = _believable(times, now_us)
        keep = [
            oldest_us <= event.time_us <= newest_us
            if isinstance(event, Frame)
            else self._keeps_time(event, times, now_us)
            for event in events
        ]
        return all(keep)

    def _keeps_time(self, event: ClearUplink | Noise, times: Times, now_us: StampUs) -> bool:
        """Tell the same of one that is not a frame."""
        if times is Times.RECORDED or not isinstance(event, ClearUplink):
            return True
        year_us = SERVER_DAYS * _DAY_US
        if not is_unknown(now_us):
            return now_us - year_us <= event.frame.time_us <= now_us + SERVER_AHEAD_US
        # The system clock may have stood still for a while, or have never been set.
        wall_us = self._system.wall_us()
        newest_us = wall_us + year_us if wall_us >= SET_FROM_US else SET_UNTIL_US
        return SET_FROM_US <= event.frame.time_us < newest_us

    def _stamp(self, frame: Frame, times: Times, boot_us: BootUs) -> Frame:
        now_us = self._now(boot_us)
        lag_us = self._lag(frame.time_us, times, boot_us)
        oldest_us, newest_us = _believable(times, now_us)
        if lag_us is not None:
            time_us = now_us - lag_us
        elif oldest_us <= frame.time_us <= newest_us:
            time_us = frame.time_us
        else:
            time_us = now_us
            old = "before 2015" if times is Times.PIPED else "more than a day old"
            self._say_wrong(frame, "ahead" if frame.time_us > newest_us else old)
        if now_us <= self._hold_us and self._hold_us - 2 * _HOLD_US <= time_us < self._hold_us:
            time_us = self._hold_us  # the clock went back a little: nothing comes before what was stamped already
        return frame if time_us == frame.time_us else msgspec.structs.replace(frame, time_us=time_us)

    def _say_wrong(self, frame: Frame, how: str) -> None:
        self._say(
            f"gateway {frame.gateway}",
            "gateway %s: it says that a frame is from %s, which is %s; its clock is wrong, or a recording is "
            "replayed: such frames get the time of arrival",
            frame.gateway,
            utc_text(frame.time_us),
            how,
        )

    def _lag(self, time_us: StampUs, times: Times, boot_us: BootUs) -> int | None:
        """Return how long ago a time was, by the system clock now or before a jump; None when it is of neither."""
        offset_us = self._offset_us
        is_ahead = offset_us is not None and self._wall_offset_us > offset_us
        reach_us = _NEAR_US if times is Times.RECORDED or (times is Times.LIVE and is_ahead) else boot_us
        lag_us = self._wall_offset_us + boot_us - time_us
        lags = [lag_us] if -_SAME_CLOCK_US <= lag_us <= reach_us else []
        for jump in self._jumps:
            lag_us = jump.offset_us + boot_us - time_us
            if boot_us - jump.until_us - _SAME_CLOCK_US <= lag_us <= _PIPE_US:
                lags.append(lag_us)
        return min(lags, key=abs, default=None)

    def _now(self, boot_us: BootUs) -> StampUs:
        return (self._zero_us if self._offset_us is None else self._offset_us) + boot_us

    def _say(self, about: str, message: str, *values: object) -> None:
        """Log it once in a process."""
        if about not in self._named and len(self._named) < _MAX_NAMED:
            self._named.add(about)
            log.warning(message, *values)


def _believable(times: Times, now_us: StampUs) -> tuple[StampUs, StampUs]:
    """Return the oldest and the newest time that an input may tell; now_us may be unknown."""
    if times is Times.RECORDED:
        return WallUs(0), boot_zero(0) + now_us
    if times is Times.PIPED:
        return LORA_FROM_US, now_us + AHEAD_US
    return now_us - LIVE_DAYS * _DAY_US, now_us + AHEAD_US
