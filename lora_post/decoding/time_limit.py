"""A time limit for decoders: one that hangs must not hold up the gateway.

One thread looks, twice a second, at what is under way, and raises `Overrun` inside of a call that has
had its time. Python delivers that between two steps of Python code, so there are two things it cannot
end: one endless step inside of C (a regular expression that backtracks for years, `10**10**8`), and code
that catches everything for ever. For these the interpreter's own watchdog, which needs no Python to run,
writes where each thread is, to stderr or a file, and ends the process with exit code 1: whatever started it
starts it again, and nothing that was accepted is lost. A process that stands still while one call runs on
until the power is cut would be worse.

Source: CPython, C API, PyThreadState_SetAsyncExc; library, faulthandler.dump_traceback_later.
"""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import sys
import time
from collections.abc import Callable
from enum import IntEnum
from io import FileIO
from threading import Event, Thread, get_ident
from types import TracebackType
from typing import Final, Self, TextIO, TypeVar

log = logging.getLogger(__name__)

LIMIT_S: Final = 2.0
LOOK_EVERY_S: Final = 0.5
PUSH_EVERY_S: Final = 0.01  # to code that has caught one Overrun already
# All inputs stand still for so long. Ten times what a call has, so that an SD card or a swap that takes seconds does
# not look like a hang.
GIVE_UP_S: Final = 20.0

Argument = TypeVar("Argument")
Result = TypeVar("Result")

_set_async_exc: Final = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_async_exc.argtypes = (ctypes.c_ulong, ctypes.py_object)


class Overrun(BaseException):
    """The call has had its time.

    Not an Exception: code that contains failures must not contain this one.
    """


class _Alarm(IntEnum):
    OFF = 0
    DECIDING = 1  # the watching thread is about to raise, or not
    RAISED = 2


class TimeLimit:
    """Limits how long calls take, those of one thread at a time. Use as a context manager.

    The two threads agree without a lock, so that a call costs a tenth of a microsecond: the caller takes
    away what is under way and then looks at the alarm; the watcher sets the alarm and then looks at what is
    under way. Whichever comes second sees the other, so no Overrun is ever raised after its call.
    """

    def __init__(
        self, limit_s: float = LIMIT_S, give_up_s: float = GIVE_UP_S, dump: FileIO | TextIO | None = None
    ) -> None:
        """dump: where the interpreter's watchdog writes, open until the end; None for stderr."""
        self.limit_s = limit_s
        self._give_up_s = give_up_s
        self._dump = dump or sys.__stderr__
        self._look_every_s = min(LOOK_EVERY_S, limit_s / 4)
        self._thread_id = 0
        self._under_way: object = None
        self._alarm = _Alarm.OFF
        self._stop = Event()
        self._watcher = Thread(target=self._look, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        self._watcher.join()

    def call(self, function: Callable[[Argument], Result], argument: Argument) -> Result:
        """Return function(argument). Raises Overrun after limit_s, and what the function raises.

        argument: not None, and another object in each call: by it one call is told from the next.
        """
        try:
            self._thread_id = get_ident()
            self._under_way = argument
            try:
                return function(argument)
            finally:
                self._under_way = None
                if self._alarm:
                    self._take_back()
        except Overrun:
            self._under_way = None
            is_decided = False
            while not is_decided:
                try:
                    while self._alarm is _Alarm.DECIDING:
                        time.sleep(0)
                    # With nothing under way no more can follow. What may be on its way is replaced, and delivered here:
                    # taken back by NULL, it would have the interpreter look for it before each call for ever.
                    is_decided = True
                    _set_async_exc(self._thread_id, Overrun)
                    while True:
                        time.sleep(0)
                except Overrun:
                    pass
            self._alarm = _Alarm.OFF
            raise

    def _take_back(self) -> None:
        while self._alarm is _Alarm.DECIDING:
            time.sleep(0)
        if self._alarm is _Alarm.RAISED:  # and perhaps not delivered yet, or caught by the function
            raise Overrun

    # In the watching thread

    def _look(self) -> None:
        seen: object = None
        since = alive = time.monotonic()
        self._arm()
        try:
            while not self._stop.wait(self._look_every_s):
                now, current = time.monotonic(), self._under_way
                if current is None or current is not seen:
                    seen, since = current, now
                elif now - since >= self.limit_s:
                    self._end(current)
                if now - alive >= self._give_up_s / 4:
                    self._arm()
                    alive = now
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _end(self, call: object) -> None:
        """Raise in a call until it is over."""
        pushed = 0
        while self._under_way is call and not self._stop.is_set():
            self._alarm = _Alarm.DECIDING
            if self._under_way is call:
                _set_async_exc(self._thread_id, Overrun)
                self._alarm = _Alarm.RAISED
            else:
                self._alarm = _Alarm.OFF
            pushed += 1
            if pushed == 100:
                log.error(
                    "%s cannot be stopped; lora-post ends in %.0f s unless it returns, to be started again",
                    _place(self._thread_id),
                    self._give_up_s,
                )
            self._stop.wait(PUSH_EVERY_S)

    def _arm(self) -> None:
        """End the process unless this is called again in time."""
        if self._dump is not None:
            faulthandler.dump_traceback_later(self._give_up_s, exit=True, file=self._dump)


def _place(thread_id: int) -> str:
    """Say what a thread is doing, as file and line."""
    frame = sys._current_frames().get(thread_id)
    return "a decoder" if frame is None else f"{frame.f_code.co_filename} line {frame.f_lineno}"
