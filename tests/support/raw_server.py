"""A server that sends what it is told, whatever the client says."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def raw_peer(answer: Callable[[], Iterable[bytes]], *, hears_first: bool) -> Iterator[tuple[int, list[int]]]:
    """Sends these pieces to every client; gives its port, and how many bytes it got rid of, client by client.

    hears_first: whether the client speaks first, as in HTTP, or the server, as in SMTP. One byte is sent slowly.
    """

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            sent.append(0)
            with client, contextlib.suppress(OSError):
                if hears_first:
                    client.recv(1 << 16)
                for piece in answer():
                    client.sendall(piece)
                    sent[-1] += len(piece)
                    if ended.wait(0 if len(piece) > 1 else 0.02):
                        return
                client.shutdown(socket.SHUT_WR)

    sent: list[int] = []
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], sent
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
