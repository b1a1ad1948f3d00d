"""Send a digest to a person: by webhook, by e-mail."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from typing import Final, Protocol

import requests

from lora_post.alerts.message import as_json, body, subject
from lora_post.alerts.outbox import Digest
from lora_post.config.alerts import AlertsConfig, EmailConfig, WebhookConfig
from lora_post.errors import Unavailable
from lora_post.net.bounded_session import BoundedSession
from lora_post.net.hosts import is_this_machine
from lora_post.net.traffic import Traffic
from lora_post.times import WallUs

TIMEOUT_S: Final = 30.0


class Sender(Protocol):
    """What sends a digest. name: how logs call it."""

    name: str

    def send(self, gateway: str, digest: Digest[WallUs]) -> None:
        """Send it. Raises Unavailable when it did not go out and is to be tried again."""
        ...


class Webhook:
    """A digest posted as JSON."""

    name = "webhook"

    def __init__(self, config: WebhookConfig) -> None:
        self._config = config

    def send(self, gateway: str, digest: Digest[WallUs]) -> None:
        token = self._config.token
        headers = {"Authorization": f"Bearer {token.reveal()}"} if token else {}
        with BoundedSession(Traffic()) as session:
            try:
                answer = session.post(
                    self._config.url, json=as_json(gateway, digest), headers=headers, timeout=TIMEOUT_S
                )
            except requests.RequestException as error:
                raise Unavailable(f"webhook: {type(error).__name__}") from error  # its text has the whole address
        if not answer.ok:
            raise Unavailable(f"webhook: the answer was {answer.status_code}")


class Email:
    """A digest as a plain text mail, encrypted on the way."""

    name = "e-mail"

    def __init__(self, config: EmailConfig) -> None:
        self._config = config

    def send(self, gateway: str, digest: Digest[WallUs]) -> None:
        message = EmailMessage()
        message["Subject"] = " ".join(subject(gateway, digest).split())[:200]
        message["From"], message["To"] = self._config.sender, self._config.to
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        message.set_content(body(gateway, digest))
        try:
            with self._server() as server:
                if self._config.password is not None:
                    server.login(self._config.user, self._config.password.reveal())
                server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise Unavailable(f"e-mail by {self._config.host}: {error}") from error

    def _server(self) -> smtplib.SMTP:
        host, port = self._config.host, self._config.port
        context = ssl.create_default_context()
        if self._config.tls:
            return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=context)
        server = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
        if not is_this_machine(host):
            server.starttls(context=context)
        return server


def senders(config: AlertsConfig) -> list[Sender]:
    """Return the senders of the configuration."""
    found: list[Sender] = []
    if config.webhook is not None:
        found.append(Webhook(config.webhook))
    if config.email is not None:
        found.append(Email(config.email))
    return found
