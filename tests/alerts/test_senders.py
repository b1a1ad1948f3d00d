"""Real webhooks and mail servers."""

from __future__ import annotations

from email import message_from_bytes, policy
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from msgspec.structs import replace

from lora_post.alerts.outbox import Digest
from lora_post.alerts.senders import Email, Webhook
from lora_post.config.alerts import EmailConfig, WebhookConfig
from lora_post.errors import Unavailable
from lora_post.secret import Secret
from tests.support.alerts import CLEARED, RAISED, webhook
from tests.support.ports import free_port


def test_webhook_gets_the_digest_with_its_token() -> None:
    with webhook() as (url, got):
        Webhook(WebhookConfig(url, Secret("t0ken"))).send("Farm", Digest((RAISED,), (CLEARED,), ()))
    [(message, authorization)] = got
    assert authorization == "Bearer t0ken"
    assert message["raised"] == [{"key": "disk", "text": RAISED.text, "raised": "2026-03-01T12:00:00Z"}]
    assert message["cleared"][0]["cleared"] == "2026-03-01T15:00:00Z"
    assert message["text"].startswith("Farm: only 5 MB of the disk are free")


@pytest.mark.parametrize("status", [500, 404])
def test_webhook_that_refuses_is_tried_again_and_its_address_is_not_told(status: int) -> None:
    with webhook(status) as (url, _), pytest.raises(Unavailable, match=f"the answer was {status}"):
        Webhook(WebhookConfig(url, None)).send("Farm", Digest((RAISED,), (), ()))
    with pytest.raises(Unavailable) as caught:
        Webhook(WebhookConfig(url, None)).send("Farm", Digest((RAISED,), (), ()))
    assert "5ec2e7" not in str(caught.value)


class Mailbox:
    """A real mail server's end."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802 - the library's
        self.mails.append(envelope.content)
        return "250 OK"


def test_mail_says_what_is_wrong_in_subject_and_text() -> None:
    mailbox = Mailbox()
    port = free_port()
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        email = Email(EmailConfig("me@example.org", "gw@example.org", "127.0.0.1", port, False, "", None))
        hostile = replace(RAISED, text="Pönd\r\nBcc: all@example.org")
        email.send("Farm", Digest((hostile,), (), ()))
    finally:
        server.stop()
    [mail] = mailbox.mails
    message = message_from_bytes(mail, policy=policy.default)
    assert message["Subject"] == "Farm: Pönd Bcc: all@example.org"
    assert (message["To"], message["Bcc"]) == ("me@example.org", None)
    assert "Needs attention:" in message.get_content()


class OutOfOrder(Mailbox):
    """A mail server's end that takes mails and cannot say goodbye."""

    async def handle_QUIT(self, server: object, session: object, envelope: object) -> str:  # noqa: N802 - the library's
        return "421 out of order"


def test_mail_that_was_taken_is_delivered_whatever_the_farewell_says() -> None:
    mailbox, port = OutOfOrder(), free_port()
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        Email(EmailConfig("a@b", "a@b", "127.0.0.1", port, False, "", None)).send("Farm", Digest((RAISED,), (), ()))
    finally:
        server.stop()
    assert len(mailbox.mails) == 1


def test_mail_server_that_is_not_there_is_no_crash() -> None:
    with pytest.raises(Unavailable, match=r"e-mail by 127\.0\.0\.1"):
        Email(EmailConfig("a@b", "a@b", "127.0.0.1", 1, False, "", None)).send("Farm", Digest((RAISED,), (), ()))
