"""The process that runs the codecs: one request at a time from its standard input, one reply to its standard output.

It holds nothing but the engine: no file can be opened here, no process started, and no signal but the last one
ends it while lora-post is stopping. The kernel ends it when a request has had its time: the engine looks at its
clock only between steps of JavaScript, and many of its built-ins are one endless step. It ends by itself with the
connection.
"""

from __future__ import annotations

import resource
import signal
import time
from typing import Final

from lora_post.decoding.javascript.messages import (
    LOAD_LIMIT_S,
    MAX_REQUEST,
    MAX_TOGETHER_TEXT,
    TIME_LIMIT_S,
    TOGETHER_S,
    Answered,
    Call,
    Failed,
    Load,
    Loaded,
    Replies,
    Reply,
    Request,
    receive,
    request_of,
    send,
)
from lora_post.decoding.javascript.realm import Realm
from lora_post.errors import DecoderCrash, DecoderHang

_FROM: Final = 0
_TO: Final = 1
GRACE: Final = 1.5  # the engine ends what it can itself, and says where that was
MEMORY_BYTES: Final = 512 << 20  # of addresses: the interpreter takes 50 MB, a codec at most 8
_LIMITS: Final = {
    resource.RLIMIT_AS: MEMORY_BYTES,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_NOFILE: 0,
    resource.RLIMIT_NPROC: 0,
}


def serve() -> None:
    """Answer requests until the connection ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for limit, value in _LIMITS.items():
        resource.setrlimit(limit, (value, value))
    realms: dict[int, Realm] = {}
    while True:
        try:
            serial, request = receive(_FROM, MAX_REQUEST)
        except (EOFError, OSError, ValueError):
            return
        send(_TO, serial, _reply(realms, request_of(request)))


def _reply(realms: dict[int, Realm], request: Request) -> Reply:
    try:
        return _load(realms, request) if isinstance(request, Load) else Replies(_answers(realms, request.calls))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _load(realms: dict[int, Realm], request: Load) -> Loaded | Failed:
    for number in request.dropped:
        realms.pop(number, None)
    signal.setitimer(signal.ITIMER_PROF, LOAD_LIMIT_S * GRACE)
    try:
        realm = realms[request.number] = Realm(request.text)
    except (DecoderCrash, DecoderHang) as crash:
        return _failed(crash)
    return Loaded(realm.memory_bytes, realm.entries, realm.is_closed)


def _answers(realms: dict[int, Realm], calls: list[Call]) -> list[Answered | Failed]:
    """Answer calls one by one, as many as there is time and room for."""
    until_s, size = time.monotonic() + TOGETHER_S, 0
    found: list[Answered | Failed] = []
    for call in calls:
        try:
            text = _sound(_call(realms[call.number], call))
        except (DecoderCrash, DecoderHang) as crash:
            found.append(_failed(crash))
        else:
            found.append(Answered(text))
            size += len(text)
        if size > MAX_TOGETHER_TEXT or time.monotonic() >= until_s:
            break
    return found


def _call(realm: Realm, call: Call) -> str:
    if not realm.is_ready:
        signal.setitimer(signal.ITIMER_PROF, LOAD_LIMIT_S * GRACE)
        realm.make_ready()
    signal.setitimer(signal.ITIMER_PROF, TIME_LIMIT_S * GRACE)
    return realm.call(call)


def _failed(crash: DecoderCrash | DecoderHang) -> Failed:
    return Failed(_sound(crash.what), _sound(crash.fix), isinstance(crash, DecoderHang))


def _sound(text: str) -> str:
    """Return a text without half surrogate pairs, which cannot be sent."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
