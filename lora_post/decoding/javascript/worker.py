"""The process that runs the codecs: one request at a time from its standard input, a socket, and one reply to it.

It holds nothing but the engine: no file can be opened here, no process started, and no signal but the last one
ends it while lora-post is stopping. The kernel ends it when a request has had its time: the engine looks at its
clock only between steps of JavaScript, and many of its built-ins are one endless step. It ends by itself with the
connection.
"""

from __future__ import annotations

import resource
import signal
import socket
from typing import Final

from lora_post.decoding.javascript.messages import (
    LOAD_LIMIT_S,
    MAX_REQUEST,
    TIME_LIMIT_S,
    Answered,
    Call,
    Failed,
    Load,
    Loaded,
    Reply,
    Request,
    receive,
    request_of,
    send,
)
from lora_post.decoding.javascript.realm import Realm
from lora_post.errors import DecoderCrash, DecoderHang

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
    with socket.socket(fileno=0) as wire:
        for limit, value in _LIMITS.items():
            resource.setrlimit(limit, (value, value))
        realms: dict[int, Realm] = {}
        while True:
            try:
                request = request_of(receive(wire, MAX_REQUEST))
            except (EOFError, OSError):
                return
            send(wire, _reply(realms, request))


def _reply(realms: dict[int, Realm], request: Request) -> Reply:
    try:
        if isinstance(request, Load):
            return _load(realms, request)
        return Answered(_sound(_call(realms[request.number], request)))
    except (DecoderCrash, DecoderHang) as crash:
        return Failed(_sound(crash.what), _sound(crash.fix), isinstance(crash, DecoderHang))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _load(realms: dict[int, Realm], request: Load) -> Loaded:
    for number in request.dropped:
        realms.pop(number, None)
    signal.setitimer(signal.ITIMER_PROF, LOAD_LIMIT_S * GRACE)
    realm = realms[request.number] = Realm(request.text)
    return Loaded(realm.memory_bytes, realm.entries, realm.is_closed)


def _call(realm: Realm, request: Call) -> str:
    if not realm.is_ready:
        signal.setitimer(signal.ITIMER_PROF, LOAD_LIMIT_S * GRACE)
        realm.make_ready()
    signal.setitimer(signal.ITIMER_PROF, TIME_LIMIT_S * GRACE)
    return realm.call(request)


def _sound(text: str) -> str:
    """Return a text without half surrogate pairs, which cannot be sent."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
