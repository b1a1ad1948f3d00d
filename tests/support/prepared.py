"""A process that has read the program's modules: each command is a fork of it and starts in a tenth of the time.

`python -P prepared.py FD` waits at its socket; `PreparedProcess` asks it to run a script. All else is as where a script
is started itself: a process with its own signals, streams, folder and environment, a child of the test's.
Tests of the start itself, and those that run for long, start the installed command.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from lora_post.cli import LazyGroup
from lora_post.decoding.loading import load_folder, shipped_folder

LATER: Final = ("alerts.loop", "sinks.mqtt.sink", "sinks.waziup.sink", "sinks.wazigate.sink", "status.app")
"""What a run imports where its configuration asks for it."""
PR_SET_CHILD_SUBREAPER: Final = 36


class PreparedProcess(subprocess.Popen[bytes]):
    """A script with its arguments as a fork of the prepared process; in all else a `Popen` with three pipes."""

    def _execute_child(
        self, args: Any, executable: Any, preexec_fn: Any, close_fds: Any, pass_fds: Any, *more: Any
    ) -> None:
        cwd, env, _startupinfo, _flags, _shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite = more[:11]
        ask, turn = _prepared()
        with turn:
            order = json.dumps([list(map(str, args)), str(cwd or Path.cwd()), dict(env or os.environ)]).encode()
            socket.send_fds(ask, [order], [p2cread, c2pwrite, errwrite])
            self.pid = int(ask.recv(100))
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]


@functools.cache
def _prepared() -> tuple[socket.socket, threading.Lock]:
    """The socket of this test process' own one, and the lock of who asks."""
    # The forks outlive the process between: they become children of this one.
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    ask, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with asked:
        process = subprocess.Popen([sys.executable, "-P", __file__, str(asked.fileno())], pass_fds=[asked.fileno()])

    def end() -> None:
        ask.close()
        process.wait()

    atexit.register(end)
    return ask, threading.Lock()


def _orders(asked: socket.socket) -> tuple[list[str], str, Mapping[str, str]]:
    """Fork for each order, and return in the fork, whose standard streams are those of the order."""
    while True:
        order, fds, _, _ = socket.recv_fds(asked, 1 << 20, 3)
        if not order:
            raise SystemExit
        read, write = os.pipe()
        if not (between := os.fork()):
            if pid := os.fork():
                os.write(write, str(pid).encode())
                os._exit(0)
            for number, fd in enumerate(fds):
                os.dup2(fd, number)
            for fd in (*fds, read, write):
                os.close(fd)
            asked.close()
            return json.loads(order)  # type: ignore[no-any-return]
        os.waitpid(between, 0)
        asked.send(os.read(read, 100))  # now it is a child of who asked
        for fd in (*fds, read, write):
            os.close(fd)


def _stream(number: int, like: TextIO) -> TextIO:
    mode = "w" if number else "r"
    stream: TextIO = open(number, mode, encoding=like.encoding, errors=like.errors, closefd=False)  # noqa: SIM115
    if number:
        stream.reconfigure(line_buffering=number == 2 or stream.isatty())  # type: ignore[attr-defined]
    return stream


def _main(asked: socket.socket) -> None:
    for name in LazyGroup.modules:
        importlib.import_module(f"lora_post.cli.{name.replace('-', '_')}")
    for name in LATER:
        importlib.import_module(f"lora_post.{name}")
    load_folder(shipped_folder())  # for what they import; a command loads them again
    gc.freeze()
    words, folder, environment = _orders(asked)
    sys.stdin = sys.__stdin__ = _stream(0, sys.stdin)
    sys.stdout = sys.__stdout__ = _stream(1, sys.stdout)
    sys.stderr = sys.__stderr__ = _stream(2, sys.stderr)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[:] = words
    code: object = 0
    try:
        runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        code = end.code
    _end(code)


def _end(code: object) -> None:
    """End as the interpreter does, but leave all modules where they are: to take them apart takes 50 ms."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        raise SystemExit(code) from None  # which has words for it
    if code is None or isinstance(code, int):
        os._exit(code or 0)
    raise SystemExit(code)


if __name__ == "__main__":
    _main(socket.socket(fileno=int(sys.argv[1])))
