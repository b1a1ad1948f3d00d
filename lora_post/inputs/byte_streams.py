"""Read bytes from stdin, a file or a serial port.

A serial port has no end: when it is unplugged it is waited for and opened again.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import stat
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from os.path import samestat
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lora_post.errors import ConfigError, Problem
from lora_post.inputs.blocks import Blocks
from lora_post.net.input_url import check_input_url, file_path, read_serial_url, scheme_of

if TYPE_CHECKING:
    import serial

log = logging.getLogger(__name__)

CHUNK = 1 << 16
REOPEN_EVERY_S = 1.0
WRITE_TIMEOUT_S = 2.0


class ByteStream(Protocol):
    """Bytes as they arrive. name: how logs call the stream. is_null: it is stdin, and /dev/null."""

    name: str
    is_null: bool

    @property
    def trouble(self) -> Problem | None:
        """Return what keeps it from giving bytes."""
        ...

    def read(self, timeout_s: float) -> bytes | None:
        """Return up to 64 KiB; b"" when nothing came within timeout_s; None at the end of input."""
        ...

    def close(self) -> None: ...


class FileStream:
    """A pipe or a regular file."""

    def __init__(self, name: str, fd: int, chunk: int = CHUNK) -> None:
        """chunk: how many bytes are read at once, at most."""
        self.name = name
        self.trouble: Problem | None = None
        self._fd = fd
        self._chunk = chunk
        self.is_null = fd == 0 and samestat(os.fstat(fd), Path(os.devnull).stat())
        self._blocks = Blocks() if is_pipe(fd) else None
        self._is_silent_pipe = fd == 0 and is_pipe(fd)
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def read(self, timeout_s: float) -> bytes | None:
        data = os.read(self._fd, self._chunk) if self._poll.poll(timeout_s * 1000) else None
        if self._blocks and self._blocks.come(data or b""):
            log.warning(
                "%s: lines arrive late, in blocks of %d kB; start the radio program with `stdbuf -oL` "
                "(a program in Python: python3 -u)",
                self.name,
                round(len(data or b"") / 1024),
            )
        if data is None:
            return b""
        if self._is_silent_pipe and not data:
            log.warning("not one byte came from stdin: the program before `lora-post run` has ended, see what it says")
        self._is_silent_pipe = False
        return data or None

    def close(self) -> None:
        if self._fd != 0:
            os.close(self._fd)


class SerialPort:
    """A serial port that may be unplugged and come back."""

    is_null = False

    def __init__(self, path: str, baud: int, wait: Callable[[float], object] = time.sleep) -> None:
        """wait: how to pass the time until the next attempt to open the port."""
        self.name = path
        self._baud = baud
        self._wait = wait
        self._port: serial.Serial | None = None
        self.trouble: Problem | None = None
        self.openings = 0
        """How many times the port was opened: each time its other end may have started anew."""

    def read(self, timeout_s: float) -> bytes | None:
        try:
            port = self._port or self._open()
            port.timeout = timeout_s
            first = port.read(1)
            return first + port.read(min(port.in_waiting, CHUNK)) if first else b""
        # pyserial's own errors are OSErrors. When a port vanishes it lets termios.error, which is not one, and a
        # TypeError through; ValueError: its driver cannot do this baud rate.
        except (OSError, termios.error, TypeError, ValueError) as error:
            self._lost(error)
            self._wait(min(timeout_s, REOPEN_EVERY_S))
            return b""

    def _open(self) -> serial.Serial:
        import serial  # only where one is configured

        self._port = serial.Serial(self.name, self._baud, exclusive=True, write_timeout=WRITE_TIMEOUT_S)
        self.openings += 1
        if self.trouble:
            log.warning("serial port %s is back", self.name)
            self.trouble = None
        else:
            log.info("serial port %s open baud=%d", self.name, self._baud)
        return self._port

    def cancel_read(self) -> None:
        """End a `read` that waits in another thread."""
        if self._port is not None:
            with suppress(OSError, TypeError):
                self._port.cancel_read()

    def write(self, data: bytes) -> None:
        """Send to the other end; lost when the port is not open, or does not take it."""
        if self._port is None:
            return
        try:
            self._port.write(data)
        except (OSError, termios.error, TypeError) as error:
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        if self._port is not None:
            with suppress(OSError):
                self._port.close()
            self._port = None
        number = getattr(error, "errno", None)
        why = os.strerror(number) if isinstance(number, int) else str(error)
        if not self.trouble:
            log.warning("waiting for serial port %s: %s", self.name, why)
        self.trouble = Problem(why, "is it plugged in, and may this user read it?")

    def close(self) -> None:
        if self._port is not None:
            self._port.close()


def open_stream(url: str) -> ByteStream:
    """Open the stream that a URL names. Raises ConfigError for an unfit URL or file."""
    check_input_url(url)
    scheme = scheme_of(url)
    if scheme == "stdin":
        if sys.stdin is None:
            raise ConfigError("[[input]] url is stdin:, and stdin is closed")
        if sys.stdin.isatty():
            log.warning(
                "stdin is this terminal, so nothing arrives unless you type it; pipe the radio program in: "
                "stdbuf -oL lora_gateway | lora-post run"
            )
        return FileStream("stdin", sys.stdin.fileno())
    if scheme == "file":
        return open_file(file_path(url))
    port = read_serial_url(url)
    return SerialPort(port.path, port.baud)


def is_regular(fd: int) -> bool:
    """Tell whether this is a file with an end, not a pipe, terminal or device."""
    return stat.S_ISREG(os.fstat(fd).st_mode)


def is_pipe(fd: int) -> bool:
    """Tell whether this is a pipe, with a name or without."""
    return stat.S_ISFIFO(os.fstat(fd).st_mode)


def open_file(path: Path, chunk: int = CHUNK) -> ByteStream:
    """Open a capture. Raises ConfigError when it cannot be read."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        return FileStream(str(path), os.open(path, os.O_RDONLY), chunk)
    except OSError as error:
        raise ConfigError(f"input {path}: {error.strerror}") from error
