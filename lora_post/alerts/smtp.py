"""Hold a conversation with a mail server that is not trusted: its answers are bounded.

smtplib reads the lines of an answer as long as they come, and waits anew for each byte.
"""

from __future__ import annotations

import io
import smtplib
import ssl
from socket import SocketIO
from typing import Any, Final

from lora_post.net.bounded_reader import BoundedReader, Budget

SILENCE_S: Final = 30.0
CONVERSATION_S: Final = 120.0
MAX_ANSWERS: Final = 1 << 16
"""Bytes of all answers of one conversation; a server says two kilobytes or less."""


class _Bounded:
    """All answers of a conversation share one budget."""

    sock: Any
    file: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        self._budget = Budget(SILENCE_S, CONVERSATION_S, MAX_ANSWERS)
        super().__init__(*args, timeout=SILENCE_S, **options)  # type: ignore[call-arg]

    def getreply(self) -> tuple[int, bytes]:
        # Made anew after STARTTLS, which puts another socket in the place of the first.
        if self.file is None and self.sock:
            self.file = io.BufferedReader(BoundedReader(SocketIO(self.sock, "r"), self.sock, self._budget))
        reply: tuple[int, bytes] = super().getreply()  # type: ignore[misc]
        return reply


class BoundedSmtp(_Bounded, smtplib.SMTP):
    """A conversation in the clear, or encrypted by STARTTLS."""


class BoundedSmtpTls(_Bounded, smtplib.SMTP_SSL):
    """A conversation that is encrypted from its first byte."""


def open_conversation(host: str, port: int, *, tls: bool, starttls: bool) -> smtplib.SMTP:
    """Connect to a mail server, encrypted as asked. Raises OSError, smtplib.SMTPException."""
    context = ssl.create_default_context()
    if tls:
        return BoundedSmtpTls(host, port, context=context)
    server = BoundedSmtp(host, port)
    if starttls:
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server
