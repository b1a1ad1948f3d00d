"""The [alerts] table → what is too long or too little, and who is told."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from msgspec import Struct

from lora_post.config.tables import AlertsTable
from lora_post.net.hosts import is_this_machine
from lora_post.secret import Secret
from lora_post.text import parse_duration
from lora_post.toml_table import TableReader


class AlertLimits(Struct, frozen=True):
    """When to alert: spans in µs, least charges of a battery. 0 switches a rule off."""

    no_frame_us: int
    no_upload_us: int
    silent_us: int
    battery_percent: float
    battery_volts: float


class WebhookConfig(Struct, frozen=True):
    """Where alerts are posted. token: sent as `Authorization: Bearer`."""

    url: str
    token: Secret | None


class EmailConfig(Struct, frozen=True):
    """Who gets alerts by e-mail.

    tls: from the first byte; otherwise STARTTLS is used, except with a server on this machine.
    """

    to: str
    sender: str
    host: str
    port: int
    tls: bool
    user: str
    password: Secret | None


class AlertsConfig(Struct, frozen=True):
    """The limits, and who is told."""

    limits: AlertLimits
    webhook: WebhookConfig | None
    email: EmailConfig | None


def read_alerts(reader: TableReader) -> AlertsConfig:
    """Return what the [alerts] table says; the defaults when there is no such table."""
    table = reader.table("alerts", AlertsTable) or AlertsTable()
    for key in ("battery_percent", "battery_volts"):
        if not 0 <= getattr(table, key) <= 100:
            reader.refuse(f"[alerts] {key} is {getattr(table, key)}", "it must be from 0 (never) to 100")
    limits = AlertLimits(
        no_frame_us=_span_us(reader, "no_frame", table.no_frame),
        no_upload_us=_span_us(reader, "no_upload", table.no_upload),
        silent_us=_span_us(reader, "silent", table.silent),
        battery_percent=table.battery_percent,
        battery_volts=table.battery_volts,
    )
    return AlertsConfig(limits, _webhook(reader, table), _email(reader, table))


def _span_us(reader: TableReader, key: str, text: str) -> int:
    if text == "never":
        return 0
    seconds = parse_duration(text)
    if not seconds:
        reader.refuse(f"[alerts] {key} is {text!r}", 'write it as "30min", "6h" or "2d", or "never"')
    return int((seconds or 0) * 1e6)


def _webhook(reader: TableReader, table: AlertsTable) -> WebhookConfig | None:
    token = reader.secret("[alerts]", "webhook_token", table)
    if not table.webhook:
        if token is not None:
            reader.refuse("[alerts] has a webhook_token and no webhook", "give both, or neither")
        return None
    parts = urlsplit(table.webhook)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        reader.refuse(f"[alerts] webhook is {table.webhook!r}", 'it must be an address, as "https://example.org/x"')
        return None
    if parts.scheme == "http" and not is_this_machine(parts.hostname):
        reader.warn("[alerts] webhook starts with http://, so alerts travel in clear", "use https://")
    return WebhookConfig(table.webhook, token)


def _email(reader: TableReader, table: AlertsTable) -> EmailConfig | None:
    password = reader.secret("[alerts]", "smtp_password", table)
    if not table.email and not table.smtp:
        return None
    if not table.email or not table.smtp:
        given, missing = ("email", "smtp") if table.email else ("smtp", "email")
        reader.refuse(f"[alerts] has {given} and no {missing}", "give both, or neither")
        return None
    for key, address in (("email", table.email), ("email_from", table.email_from or table.email)):
        if address.count("@") != 1 or not address.isprintable() or " " in address:
            reader.refuse(f"[alerts] {key} is {address!r}", 'it must be one address, as "me@example.org"')
    parts = urlsplit(table.smtp)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        reader.refuse(
            f"[alerts] smtp is {table.smtp!r}", 'it must be a mail server, as "smtps://user@mail.example.org"'
        )
        return None
    tls = parts.scheme == "smtps"
    user = unquote(parts.username or "")
    if bool(user) != bool(password):
        given, missing = ("a user in smtp", "smtp_password") if user else ("smtp_password", "user in smtp")
        reader.refuse(f"[alerts] has {given} and no {missing}", "give both, or neither")
    sender = table.email_from or table.email
    return EmailConfig(table.email, sender, parts.hostname, parts.port or (465 if tls else 587), tls, user, password)
