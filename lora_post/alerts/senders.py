"""Send a digest to a person: by webhook, by e-mail."""

from __future__ import annotations

import smtplib
from contextlib import closing, suppress
from email.message import EmailMessage
from typing import Protocol
from urllib.parse import urlsplit

from requests.utils import get_auth_from_url
from urllib3.util import make_headers

from lora_post.alerts.message import as_json, body, subject
from lora_post.alerts.outbox import Digest
from lora_post.alerts.smtp import open_conversation
from lora_post.config.alerts import AlertsConfig, EmailConfig, WebhookConfig
from lora_post.errors import SinkError, Unavailable
from lora_post.net.bounded_session import EncodedAnswer
from lora_post.net.hosts import is_this_machine
from lora_post.net.http_client import HttpClient
from lora_post.text import one_line
from lora_post.times import WallUs


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
        address = urlsplit(self._config.url)
        path = address._replace(scheme="", netloc="").geturl()
        with closing(HttpClient(f"{address.scheme}://{address.netloc}")) as client:
            client.use_token(self._config.token)
            account = get_auth_from_url(self._config.url)
            is_named = any(account) and self._config.token is None
            basic = make_headers(basic_auth=":".join(account))["authorization"] if is_named else None
            try:
                answer = client.call("POST", path, as_json(gateway, digest), basic)
            except SinkError as error:
                raise Unavailable(f"webhook: {_reason(error)}") from error
        if not 200 <= answer.status < 300:
            raise Unavailable(f"webhook: the answer was {answer.status}")


def _reason(error: SinkError) -> str:
    """Return why there was not an answer, without the address, which may hold a secret."""
    why = error.__cause__ or error
    inner = [each for arg in why.args for each in getattr(arg, "args", ()) if isinstance(each, EncodedAnswer)]
    return str(inner[0]) if inner else type(why).__name__


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
        host = self._config.host
        try:
            server = open_conversation(
                host, self._config.port, tls=self._config.tls, starttls=not is_this_machine(host)
            )
            with closing(server):
                if self._config.password is not None:
                    server.login(self._config.user, self._config.password.reveal())
                server.send_message(message)
                # The mail has been taken: what comes after must not send it again.
                with suppress(OSError, smtplib.SMTPException):
                    server.quit()
        # smtplib raises ValueError over a challenge that is not Base64.
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise Unavailable(f"e-mail by {host}: {one_line(str(error), 200)}") from error


def senders(config: AlertsConfig) -> list[Sender]:
    """Return the senders of the configuration."""
    found: list[Sender] = []
    if config.webhook is not None:
        found.append(Webhook(config.webhook))
    if config.email is not None:
        found.append(Email(config.email))
    return found
