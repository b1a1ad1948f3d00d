"""JavaScript codecs in QuickJS; the only module that knows the engine.

`eval` here is the engine's: it runs JavaScript inside its own world, never Python.

Each codec has a world (a QuickJS runtime) of its own. There are two ways to keep a frame from seeing
what an earlier one left there, told apart when the file is loaded:

* closed: everything that the language holds is frozen before the codec runs, code cannot be made from
  text, and the file is the body of a function that is entered anew for each frame, so that its
  top-level variables are new. What a call leaves on the global object is taken away after it, and
  what the file's own top level changes of the language (`Object.assign = …`, a polyfill) is put back.
  Such a world serves frame after frame;
* open: a codec that needs promises, `eval` and the like, or whose functions change the language, gets a
  new world for each frame, which costs some milliseconds.

A world in which a limit was hit is thrown away. No thrown object crosses the border, only text: the
binding makes text of exceptions without a time limit, and that text could be the codec's code.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import cache
from importlib import resources
from time import time
from typing import Any, Final

import msgspec
from msgspec import Struct

from lora_post.decoding.javascript.source import as_function, is_module, needs_new_world, without_module_syntax
from lora_post.errors import DecoderCrash

TIME_LIMIT_S: Final = 0.1
"""Processor time of the process during one call, as ChirpStack allows; a vendor's codec needs some 10 µs."""

LOAD_LIMIT_S: Final = 1.0
"""The same for making a world, which takes 5 ms on a desktop and 20 times that on the smallest boards."""

MEMORY_LIMIT: Final = 8 << 20
"""Bytes of one world: 20 times what the largest published codec holds, and harmless on a gateway with 512 MB."""

STACK_LIMIT: Final = 256 << 10
"""Bytes, some hundred calls deep: fits into the smallest thread stack (1 MB, musl) with room to spare."""

MAX_ANSWER: Final = 80_000  # characters: the prelude's limit for a result, and its messages
NO_ANSWER: Final = "the codec left the JavaScript engine in disorder"
SPOILT: Final = "!"
INTERRUPTED: Final = "InternalError: interrupted"
MISSING: Final = "JavaScript codecs need the package quickjs-ng: pip install 'lora-post[js]'"

_LIFTED = 20_000  # lines put before the prelude, so that the lines of the codec's file can be told from its own
_LINE = re.compile(r"<input>:(\d+)")
_LONE_SURROGATE = re.compile(r"(?<!\\)((?:\\\\)*)\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_OUT_OF_MEMORY = re.compile(r'\{"crash":"(?:null|InternalError: out of memory)"')


class CodecResult(Struct, frozen=True):
    """What one call of a codec came to.

    data: what the codec made of the payload. normalized: what its `normalizeUplink` made of that.
    errors: what the codec has against the payload; data is None then.
    """

    data: Any = None
    normalized: Any = None
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


class _RawAnswer(Struct):
    data: Any = None
    normalized: Any = None
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    crash: str | None = None
    stack: str = ""


class _Inspection(Struct):
    entries: tuple[str, ...] = ()
    polyfills: str = "[]"
    changed: bool = False
    crash: str | None = None
    stack: str = ""


_decode_answer = msgspec.json.Decoder(_RawAnswer).decode
_Run = Callable[[str, int, float, str], str]


class Codec:
    """One codec file, ready to be called; from any thread, one call at a time.

    Raises DecoderCrash when the text is not JavaScript, fails on its own, or has none of the known functions.
    The world is made at the first call: a folder of many codecs costs their text only.
    memory_bytes: what the engine holds for it from then on, about.
    """

    def __init__(self, text: str) -> None:
        if "\0" in text:
            raise DecoderCrash("it has a NUL character, as JavaScript files never have")
        self._source = _as_function(text)
        world = _new_world()
        found = msgspec.json.decode(_inspect(world, self._source), type=_Inspection)
        if found.crash is not None:
            raise DecoderCrash(_crash_text(found.crash, found.stack))
        if not {"decodeUplink", "Decode", "Decoder"} & set(found.entries):
            raise DecoderCrash("there is no function decodeUplink, Decode or Decoder")
        self.memory_bytes: int = world.memory()["malloc_size"]
        self.normalizes = {"decodeUplink", "normalizeUplink"} <= set(found.entries)
        self._polyfills = found.polyfills
        self.is_closed = not (found.changed or needs_new_world(text))
        self._run: _Run | None = None
        self._lock = threading.Lock()

    def call(self, payload: bytes, fport: int, variables: str) -> CodecResult:
        """Decode one payload; variables: a JSON object of texts, "" for none.

        `recvTime` is the time of the call. Raises DecoderCrash when the codec throws, hits a limit or
        returns what JSON cannot say.
        """
        with self._lock:
            text = self._call(payload.decode("latin-1"), fport, variables)
        raw = _parse(text)
        if raw.crash is not None:
            raise DecoderCrash(_crash_text(raw.crash, raw.stack))
        return CodecResult(raw.data, raw.normalized, raw.warnings, raw.errors)

    def _call(self, payload: str, fport: int, variables: str) -> str:
        run, self._run = self._run, None  # only put back when all went well
        try:
            if run is None:
                run = self._new_run()
            text = run(payload, fport, time() * 1000, variables)
        except _engine().JSException as error:  # StackOverflow is one too
            raise DecoderCrash(_limit_text(error)) from None
        except (TypeError, ValueError):  # what the binding cannot turn into a Python object
            raise DecoderCrash(NO_ANSWER) from None
        if type(text) is not str or text == SPOILT or len(text) > MAX_ANSWER:
            raise DecoderCrash(NO_ANSWER)
        if self.is_closed and not _OUT_OF_MEMORY.match(text):
            self._run = run
        return text

    def _new_run(self) -> _Run:
        world = _new_world()
        prepare = _with_prelude(world, "closed" if self.is_closed else "open")
        run: _Run = prepare(world.eval(self._source), self._polyfills)
        world.set_time_limit(TIME_LIMIT_S)
        return run


def _engine() -> Any:
    """Return the engine's module. Raises DecoderCrash when it is not installed."""
    try:
        import quickjs  # type: ignore[import-untyped]
    except ImportError:
        raise DecoderCrash(MISSING) from None
    return quickjs


@cache
def _prelude() -> str:
    return "\n" * _LIFTED + resources.files("lora_post.decoding.javascript").joinpath("prelude.js").read_text(
        encoding="utf-8"
    )


def _new_world() -> Any:
    world = _engine().Context()
    world.set_memory_limit(MEMORY_LIMIT)
    world.set_max_stack_size(STACK_LIMIT)
    world.set_time_limit(LOAD_LIMIT_S)
    return world


def _with_prelude(world: Any, function: str) -> Any:
    """Return one of the prelude's functions, in a world that has nothing else yet."""
    return world.eval(f"({_prelude()}).{function}")


def _inspect(world: Any, source: str) -> str:
    inspect = _with_prelude(world, "inspect")
    try:
        text = inspect(world.eval(source))
    except _engine().JSException as error:
        if str(error).startswith(INTERRUPTED):
            raise DecoderCrash(f"its top level took longer than {LOAD_LIMIT_S * 1000:.0f} ms") from None
        raise DecoderCrash(_limit_text(error)) from None
    if type(text) is not str:
        raise DecoderCrash("its top level left no answer")
    return text


def _as_function(text: str) -> str:
    """Make a function of the file. Raises DecoderCrash when it is not JavaScript.

    Parsed on its own first: a text that is only complete inside of a function could step out of it.
    """
    body = text
    fault = _syntax_fault(body)
    if fault and is_module(text):
        body = without_module_syntax(text)
        fault = _syntax_fault(body)
    if fault:
        raise DecoderCrash(fault)
    return as_function(body)


def _syntax_fault(text: str) -> str:
    """Say why a text is not a JavaScript program, "" when it is one; run nothing of it."""
    js = _engine()
    try:
        _new_world().eval(f"throw 0;{text}")
    except js.JSException as error:
        said = str(error)
        return "" if said.startswith("0\n") or said == "0" else _limit_text(error)
    return ""


def _parse(text: str) -> _RawAnswer:
    try:
        return _decode_answer(text)
    except (msgspec.MsgspecError, RecursionError):
        # Half a surrogate pair is a text in JavaScript, and not in JSON.
        try:
            return _decode_answer(_LONE_SURROGATE.sub(r"\1\\ufffd", text))
        except (msgspec.MsgspecError, RecursionError):
            raise DecoderCrash("the result is nested too deeply, or not JSON") from None


def _limit_text(error: Exception) -> str:
    """Return one line for an error of the engine itself."""
    lines = str(error).splitlines()
    return _crash_text(lines[0][:200] if lines else "", str(error))


def _crash_text(said: str, stack: str) -> str:
    if said == INTERRUPTED:
        return f"the codec took longer than {TIME_LIMIT_S * 1000:.0f} ms"
    if said in ("", "null", "InternalError: out of memory"):  # null: no memory is left for an error either
        return f"the codec used more than {MEMORY_LIMIT >> 20} MiB of memory{_place(stack)}"
    return said + _place(stack)


def _place(stack: str) -> str:
    """Say where in the codec's file it was, as far as the stack tells."""
    lines = [int(line) for line in _LINE.findall(stack)]
    return next((f", line {line}" for line in lines if line < _LIFTED), "")
