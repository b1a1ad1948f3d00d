"""JavaScript codecs in QuickJS; the only module that knows the engine, and imported in the codecs' process only.

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
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import quickjs  # type: ignore[import-untyped]
from msgspec import Struct

from lora_post.decoding.javascript.answer import LIFTED, MAX_ANSWER, MEMORY_LIMIT, crash_text
from lora_post.decoding.javascript.brackets import unclosed
from lora_post.decoding.javascript.messages import LOAD_LIMIT_S, TIME_LIMIT_S, Call, Task, overrun_text
from lora_post.decoding.javascript.source import (
    DECODES,
    ENCODES,
    as_function,
    is_module,
    needs_new_world,
    without_module_syntax,
    without_nul,
)
from lora_post.errors import DecoderCrash, DecoderHang

STACK_LIMIT: Final = 256 << 10
"""Bytes, some hundred calls deep: fits into the smallest thread stack (1 MB, musl) with room to spare."""

NO_ANSWER: Final = "the codec left the JavaScript engine in disorder"
INTERRUPTED: Final = "InternalError: interrupted"
_ENCODE: Final = Task.ENCODE
SPOILT: Final = "!"  # before an answer: its world cannot serve another frame

_PRELUDE: Final = "\n" * LIFTED + Path(__file__).with_name("prelude.js").read_text(encoding="utf-8")
_AT_THE_END: Final = re.compile(r": '', line [0-9]+$")
_OUT_OF_MEMORY: Final = (' {"crash":"null"', ' {"crash":"InternalError: out of memory"')


class _Inspection(Struct):
    entries: tuple[str, ...] = ()
    polyfills: str = "[]"
    changed: bool = False
    crash: str | None = None
    stack: str = ""


_Run = Callable[[str, int, float, str, Task], str]


class Realm:
    """One codec file, ready to be called.

    Raises DecoderCrash when the text is not JavaScript, fails on its own, or has none of the known functions.
    The world is made at the first call: a folder of many codecs costs their text only.
    memory_bytes: what the engine holds for it from then on, about.
    """

    def __init__(self, text: str) -> None:
        text = without_nul(text)
        self._source = _as_function(text)
        world = _new_world()
        found = msgspec.json.decode(_inspect(world, self._source), type=_Inspection)
        if found.crash is not None:
            raise DecoderCrash(crash_text(found.crash, found.stack))
        if not {*DECODES, *ENCODES} & set(found.entries):
            raise DecoderCrash("there is no function decodeUplink, Decode or Decoder")
        self.memory_bytes: int = world.memory()["malloc_size"]
        self.entries = found.entries
        self._polyfills = found.polyfills
        self.is_closed = not (found.changed or needs_new_world(text))
        self._run: _Run | None = None

    @property
    def is_ready(self) -> bool:
        return self._run is not None

    def make_ready(self) -> None:
        """Make the world of the next calls; nothing of the codec runs. Raises DecoderCrash."""
        try:
            self._run = self._new_run()
        except quickjs.JSException as error:
            raise _failure(error, LOAD_LIMIT_S) from None

    def call(self, call: Call) -> str:
        """Do what a call asks for in the world that is ready, to JSON text.

        Raises DecoderCrash when the codec hits a limit of the engine.
        """
        run, self._run = self._run, None  # only put back when all went well
        try:
            text = run and run(_json(call), call.fport, call.time_ms, call.variables, call.task)
        except quickjs.JSException as error:  # StackOverflow is one too
            raise _failure(error, TIME_LIMIT_S) from None
        except (TypeError, ValueError):  # what the binding cannot turn into a Python object
            raise DecoderCrash(NO_ANSWER) from None
        if type(text) is not str or text == SPOILT or len(text) > MAX_ANSWER:
            raise DecoderCrash(NO_ANSWER)
        if text.startswith(SPOILT):
            return text.removeprefix(SPOILT)
        if self.is_closed and not text.startswith(_OUT_OF_MEMORY):
            self._run = run
        return text

    def _new_run(self) -> _Run:
        world = _new_world()
        prepare = _with_prelude(world, "closed" if self.is_closed else "open")
        run: _Run = prepare(world.eval(self._source), self._polyfills)
        world.set_time_limit(TIME_LIMIT_S)
        return run


def _json(call: Call) -> str:
    """Return the bytes of a payload as JSON; values that are to be encoded are that already."""
    return call.payload.decode("ascii") if call.task == _ENCODE else str([*call.payload])


def _new_world() -> Any:
    """Return an engine with limits. Its `eval` runs JavaScript in there, and never Python."""
    world = quickjs.Context()
    world.set_memory_limit(MEMORY_LIMIT)
    world.set_max_stack_size(STACK_LIMIT)
    world.set_time_limit(LOAD_LIMIT_S)
    return world


def _with_prelude(world: Any, function: str) -> Any:
    """Return one of the prelude's functions, in a world that has nothing else yet."""
    return world.eval(f"({_PRELUDE}).{function}")


def _inspect(world: Any, source: str) -> str:
    inspect = _with_prelude(world, "inspect")
    try:
        text = inspect(world.eval(source))
    except quickjs.JSException as error:
        raise _failure(error, LOAD_LIMIT_S) from None
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
        open_ = unclosed(text) if _AT_THE_END.search(fault) else ""
        raise DecoderCrash(f"SyntaxError: {open_} is not closed" if open_ else fault)
    return as_function(body)


def _syntax_fault(text: str) -> str:
    """Say why a text is not a JavaScript program, "" when it is one; run nothing of it."""
    try:
        _new_world().eval(f"throw 0;{text}")
    except quickjs.JSException as error:
        said = str(error)
        return "" if said.startswith("0\n") or said == "0" else _failure(error, LOAD_LIMIT_S).what
    return ""


def _failure(error: Exception, limit_s: float) -> DecoderCrash | DecoderHang:
    """Return what an error of the engine itself means; limit_s: the time that it had."""
    text = str(error)
    said = text.splitlines()[0][:200] if text else ""
    if said == INTERRUPTED:
        return DecoderHang(overrun_text(limit_s))
    return DecoderCrash(crash_text(said, text))
