"""Count what connections cost, TLS, headers and packets sent twice included.

Source: linux/tcp.h, struct tcp_info (Linux 4.2 and newer): tcpi_bytes_acked at byte 120, tcpi_bytes_received
at 128, tcpi_segs_out at 136, tcpi_segs_in at 140.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from struct import Struct
from weakref import WeakKeyDictionary

SEGMENT_HEADERS = 52  # IPv4 and TCP with time stamps, which is what Linux sends

_COUNTS = Struct("=120xQQII")


class Traffic:
    """The bytes of all connections that it was shown, both ways, as an operator bills them."""

    def __init__(self) -> None:
        self.bytes = 0
        self._seen: WeakKeyDictionary[socket.socket, int] = WeakKeyDictionary()

    def look_at(self, sock: socket.socket) -> None:
        """Add what a connection has carried since the last look; nothing for a closed one."""
        with suppress(OSError):
            now = carried_bytes(sock)
            self.bytes += now - self._seen.get(sock, 0)
            self._seen[sock] = now


def carried_bytes(sock: socket.socket) -> int:
    """Return all bytes of a connection so far. Raises OSError when the kernel does not tell."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _COUNTS.size)
    if len(info) < _COUNTS.size:
        raise OSError("counting bytes needs Linux 4.2 or newer")
    acked, received, segments_out, segments_in = _COUNTS.unpack(info)
    return int(acked + received + (segments_out + segments_in) * SEGMENT_HEADERS)
