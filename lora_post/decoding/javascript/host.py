"""The process that runs the codecs, as lora-post sees it: `worker` is its other side.

It is started when the first codec is loaded, and killed and started again when a request has had its time, whatever
the codec had called, or when what comes back is not the reply. A codec that breaks out of the engine has that process
and nothing else: no files, no environment, no connection but the one to here, and what it says is checked.

A thread ends the process in time, and nothing asks beforehand whether it lives: both would cost each call more than a
small codec does. One that has died, or said something, since its last reply is found out by the next request, which
is put to a new process.
"""

from __future__ import annotations

import atexit
import itertools
import os
import signal
import subprocess
import sys
import time
import weakref
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final, TypeVar

import msgspec

from lora_post.decoding.javascript.answer import CodecResult, result_of
from lora_post.decoding.javascript.messages import (
    LOAD_LIMIT_S,
    MAX_REPLY,
    MAX_SERIAL,
    MAX_TOGETHER,
    MAX_TOGETHER_BYTES,
    TIME_LIMIT_S,
    Answered,
    Call,
    Calls,
    Failed,
    Load,
    Loaded,
    Replies,
    Reply,
    Request,
    Task,
    overrun_text,
    receive,
    reply_of,
    send,
)
from lora_post.decoding.javascript.source import DECODES, ENCODES
from lora_post.errors import DecoderCrash, DecoderHang, Problem
from lora_post.text import pip_install

# The kernel ends what takes its processor time. These are for a process that sleeps, or gets none from this machine.
CALL_WALL_S: Final = 5.0
LOAD_WALL_S: Final = 30.0  # with the interpreter's start
LOOK_S: Final = 1.0  # so much later it may be
END_WALL_S: Final = 2.0
MAX_HANGS: Final = 3
GOOD_CALLS: Final = 100
"""So many calls that end make up for one that hung. One that hangs over every second payload is a hang, too."""
MISSING: Final = Problem("JavaScript codecs need quickjs-ng, which is not installed", pip_install("lora-post[js]"))

# The package without its __init__, which takes in the device model and the ciphers: 10 MB.
_START: Final = """
import sys, types
sys.path[:] = sys.argv[2:]
package = sys.modules["lora_post"] = types.ModuleType("lora_post")
package.__path__ = [sys.argv[1]]
from lora_post.decoding.javascript.worker import serve
serve()
"""
_Wanted = TypeVar("_Wanted", Loaded, Replies)


class _DisorderBefore(Exception):
    """The process had died, or spoken, before it was asked: another one is to be asked the same."""


class _Child:
    """A process that runs. was_idle: it has answered before, and was not asked since the lock was taken."""

    def __init__(self) -> None:
        """Start it. Raises OSError."""
        self.loaded: set[int] = set()
        self.was_idle = False
        self._serial = 0
        self._until_s = 0.0  # monotonic, of the request that is under way; 0: none is
        self._ended_for_s = 0.0  # the same, of the request that it was killed for
        self._ended = Event()
        paths = [str(Path(__file__).parents[2]), *filter(None, sys.path)]
        ends: list[int] = []
        try:
            ends += os.pipe()
            ends += os.pipe()
            there_in, self._to, self._from, there_out = ends
            self.process = subprocess.Popen(  # noqa: S603 - no shell, words of our own
                [sys.executable, "-I", "-c", _START, *paths],
                stdin=there_in,
                stdout=there_out,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={"TZ": "UTC0"},  # as at makers' network servers, whatever the zone of this machine is
                start_new_session=True,
            )
            ends = [there_in, there_out]
        finally:
            for end in ends:
                os.close(end)
        Thread(target=self._end_in_time, name="codecs", daemon=True).start()

    def ask(self, request: Request, wall_s: float) -> Reply:
        """Return the reply to a request. Raises what `send` and `receive` do, MsgspecError, _DisorderBefore."""
        was_idle, self.was_idle = self.was_idle, False
        self._serial = serial = self._serial % MAX_SERIAL + 1
        self._until_s = time.monotonic() + wall_s
        try:
            send(self._to, serial, request)
            reply: Reply = reply_of(receive(self._from, MAX_REPLY, serial)[1])
        except (OSError, EOFError, ValueError) as error:
            had_died_or_spoken = was_idle and isinstance(error, (BrokenPipeError, ValueError))
            if (had_died_or_spoken or self._ended_for_s) and not self.is_overdue:
                raise _DisorderBefore from None
            raise
        self._until_s = 0.0
        return reply

    @property
    def has_answered(self) -> bool:
        """Whether it has answered anything: one that has not is not started again and again."""
        return self._serial > 0

    @property
    def is_overdue(self) -> bool:
        """Whether it was killed for the request that is under way, not for one that it had just answered."""
        return self._ended_for_s == self._until_s

    def end(self, *, kill: bool) -> int:
        """End it, and return how it ended: an exit code, or the number of a signal below 0."""
        self._ended.set()
        os.close(self._to)  # which ends a process that is well
        os.close(self._from)
        if kill:
            self.process.kill()
        try:
            return self.process.wait(END_WALL_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def _end_in_time(self) -> None:
        while not self._ended.wait(LOOK_S):
            until_s = self._until_s
            if until_s and time.monotonic() >= until_s:
                self._ended_for_s = until_s
                self.process.kill()


class Host:
    """The one process for all codecs; for any thread. It ends with `close`, or with lora-post."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._child: _Child | None = None
        self._numbers = itertools.count()
        self._dropped: list[int] = []
        self._expected: dict[Call, None] = {}
        self._replies: dict[Call, Answered | Failed] = {}

    @property
    def pid(self) -> int | None:
        """The process that is running, None before the first codec."""
        return self._child.process.pid if self._child else None

    def new_number(self) -> int:
        """Return what a codec is called in requests."""
        return next(self._numbers)

    def drop(self, number: int) -> None:
        """Let a codec's world go, with the next load."""
        self._dropped.append(number)
        self.expect_none_of(number)

    def load(self, number: int, text: str) -> Loaded:
        """Load a codec. Raises DecoderCrash; DecoderHang when it took its time."""
        with self._lock:
            try:
                return self._load(self._running(), number, text)
            except _DisorderBefore:
                return self._load(self._restarted(), number, text)

    def expect(self, call: Call) -> None:
        """Note a call that will come soon: those that were noted go to the process in one message, with the first."""
        with self._lock:
            if len(self._expected) < MAX_TOGETHER:
                self._expected[call] = None

    def expect_none_of(self, number: int) -> None:
        """Forget the calls of a codec that were noted; of one that was dropped in the middle of anything, too."""
        self._expected = {call: None for call in [*self._expected] if call.number != number}

    def call(self, call: Call, text: str) -> str:
        """Return the JSON answer of a codec, of which this is the text. Raises as `load`."""
        with self._lock:
            reply = self._replies.pop(call, None)
            while reply is None:
                self._expected.pop(call, None)
                child = self._running()
                try:
                    if call.number not in child.loaded:
                        self._load(child, call.number, text)
                    others = self._others(child) if self._expected else ()
                    reply = self._call_together(child, [call, *others])
                except _DisorderBefore:
                    self._restarted()
        if isinstance(reply, Failed):
            raise reply.error
        return reply.text

    def _call_together(self, child: _Child, calls: list[Call]) -> Answered | Failed | None:
        """Have the first of these calls answered, with as many others as the process has time for; None: anew."""
        try:
            replies = self._ask(child, Calls(calls), Replies, CALL_WALL_S, TIME_LIMIT_S).replies
        except DecoderHang:
            if len(calls) == 1:
                raise
            self._expected.clear()  # one of them has ended the process: now each goes alone
            return None
        if not 0 < len(replies) <= len(calls):
            raise self._out_of_order()
        if self._replies or len(calls) > 1:
            self._replies = dict(zip(calls[1:], replies[1:], strict=False))
            for each in self._replies:
                self._expected.pop(each, None)
        return replies[0]

    def _others(self, child: _Child) -> list[Call]:
        """Return the calls that were noted, of codecs that are loaded, as many as fit into a message."""
        others, size = [], 0
        for call in self._expected:
            size += len(call.payload) + len(call.variables)
            if size > MAX_TOGETHER_BYTES:
                break
            if call.number in child.loaded:
                others.append(call)
        return others

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _running(self) -> _Child:
        if self._child is None:
            return self._restarted()
        self._child.was_idle = self._child.has_answered
        return self._child

    def _restarted(self) -> _Child:
        self._end(kill=True)
        if find_spec("quickjs") is None:
            raise DecoderCrash(MISSING.what, fix=MISSING.fix)
        try:
            self._child = _Child()
        except OSError as error:
            raise DecoderCrash(f"the process for JavaScript codecs cannot be started: {error.strerror}") from error
        return self._child

    def _load(self, child: _Child, number: int, text: str) -> Loaded:
        dropped, self._dropped = self._dropped, []
        loaded = self._ask(child, Load(number, text, dropped), Loaded, LOAD_WALL_S, LOAD_LIMIT_S)
        child.loaded.add(number)
        return loaded

    def _ask(self, child: _Child, request: Request, wanted: type[_Wanted], wall_s: float, limit_s: float) -> _Wanted:
        try:
            reply = child.ask(request, wall_s)
        except (OSError, EOFError, ValueError, msgspec.MsgspecError) as error:
            ended = self._end(kill=not isinstance(error, (OSError, EOFError)))
            if child.is_overdue or ended == -signal.SIGPROF:
                raise DecoderHang(overrun_text(limit_s)) from None
            raise DecoderHang(f"the JavaScript engine ended in disorder ({ended})") from None
        except BaseException:  # the reply that is still to come would be taken for that of the next request
            self._end(kill=True)
            raise
        if isinstance(reply, wanted):
            return reply
        if isinstance(reply, Failed):
            raise reply.error
        raise self._out_of_order()

    def _out_of_order(self) -> DecoderHang:
        self._end(kill=True)
        return DecoderHang("the JavaScript engine answered what it was not asked")

    def _end(self, *, kill: bool = False) -> int | None:
        """End the process, and return how it ended."""
        child, self._child = self._child, None
        return child.end(kill=kill) if child else None


HOST: Final = Host()
atexit.register(HOST.close)


class Codec:
    """One codec file, ready to be called; from any thread.

    One that hangs MAX_HANGS times is set aside: not called any more. GOOD_CALLS make up for a hang.
    Raises DecoderCrash when the text is not JavaScript, fails on its own, or has none of the known functions.
    memory_bytes: what the engine holds for it, about. is_closed: one world serves all frames. entries: its functions,
    of decodeUplink, normalizeUplink, Decode, Decoder, encodeDownlink, decodeDownlink, Encode, Encoder. decodes: one of
    them is for uplinks.
    """

    def __init__(self, text: str, host: Host = HOST) -> None:
        self._text = text
        self._host = host
        self._number = host.new_number()
        loaded = host.load(self._number, text)
        self.memory_bytes = loaded.memory_bytes
        self.entries = loaded.entries
        self.decodes = not set(self.entries).isdisjoint(DECODES)
        self.is_closed = loaded.is_closed
        self._hangs = self._good_calls = 0
        weakref.finalize(self, host.drop, self._number).atexit = False

    def call(self, payload: bytes, fport: int, variables: str, received_s: float) -> CodecResult:
        """Decode one payload; variables: a JSON object of texts, "" for none. received_s: `recvTime`.

        Raises DecoderCrash when the codec throws, hits a limit of the engine or returns what JSON cannot say, and
        DecoderHang when it had to be ended, or is set aside.
        """
        if not self.decodes:
            raise DecoderCrash(
                f"the codec has {', '.join(self.entries)} for downlinks, and nothing that decodes uplinks",
                fix="the file with decodeUplink, Decode or Decoder is the decoder",
            )
        return self._answer(Call(self._number, payload, fport, received_s * 1000, variables))

    def expect(self, payload: bytes, fport: int, variables: str, received_s: float) -> None:
        """Note a `call` that will come soon: those that were noted are done together."""
        if self._hangs < MAX_HANGS and self.decodes:
            self._host.expect(Call(self._number, payload, fport, received_s * 1000, variables))

    @property
    def encodes(self) -> bool:
        """Whether it has a function for downlinks."""
        return not set(self.entries).isdisjoint(ENCODES)

    def encode(self, values: str, fport: int, variables: str) -> CodecResult:
        """Encode values, JSON in ASCII, to `{"bytes": …, "fPort": …}`; fport: 0 for none. Raises as `call`."""
        if not self.encodes:
            raise DecoderCrash("the codec has no function encodeDownlink, Encode or Encoder")
        return self._answer(Call(self._number, values.encode("ascii"), fport, 0.0, variables, Task.ENCODE))

    def decode_down(self, payload: bytes, fport: int, variables: str) -> CodecResult:
        """Decode the payload of a downlink. Raises as `call`."""
        if "decodeDownlink" not in self.entries:
            raise DecoderCrash("the codec has no function decodeDownlink")
        return self._answer(Call(self._number, payload, fport, 0.0, variables, Task.DECODE_DOWN))

    def _answer(self, call: Call) -> CodecResult:
        if self._hangs >= MAX_HANGS:
            raise DecoderHang(f"the codec is set aside because it hung {MAX_HANGS} times, until its file changes")
        try:
            text = self._host.call(call, self._text)
        except DecoderHang as hang:
            self._hangs, self._good_calls = self._hangs + 1, 0
            last = self._hangs >= MAX_HANGS
            if last:
                self._host.expect_none_of(self._number)
            raise DecoderHang(
                f"{hang.what}, and it is set aside until its file changes" if last else hang.what
            ) from None
        except DecoderCrash:
            self._ended()
            raise
        self._ended()
        return result_of(text)

    def _ended(self) -> None:
        """Note a call that did not hang."""
        self._good_calls += 1
        if self._good_calls >= GOOD_CALLS:
            self._good_calls = 0
            self._hangs = max(0, self._hangs - 1)
