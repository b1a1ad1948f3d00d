"""Tell why a TLS connection failed: the clock, a proxy that reads along, a login page."""

from __future__ import annotations

import ssl
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from lora_post.clocks.scale import utc_text
from lora_post.sinks.finding import Finding, fail
from lora_post.times import WallUs

TIMEOUT_S: Final = 10.0
SUBJECT: Final = "server"
# OpenSSL, x509_vfy.h.
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_UNKNOWN_ISSUER: Final = (18, 19, 20, 21)
_OTHER_NAME: Final = (62, 64)


class Presented(Struct, frozen=True):
    """The certificate that a server shows, not verified. Dates as 2026-03-01."""

    issuer: str
    not_before: str
    not_after: str


def check_tls(url: str, error: BaseException, now_us: WallUs) -> Finding:
    """Return what is wrong with a connection that ended in this error."""
    host = urlsplit(url).hostname or ""
    now = f"{utc_text(now_us)[:16]}Z"
    wrong = _verification(error)
    if wrong is None:
        if "WRONG_VERSION_NUMBER" in str(error) or "UNEXPECTED_EOF" in str(error):
            text = (
                f"TLS: {host} does not speak TLS at this port; a proxy or login page of the network may have answered"
            )
            return fail(
                SUBJECT, text, f"open a page with a browser here; else is the clock right ({now}), and the url?"
            )
        return fail(SUBJECT, f"TLS: {error}", f"is the clock right ({now}), and is this the right server?")
    shown = presented(url)
    if wrong.verify_code in (_NOT_YET_VALID, _EXPIRED):
        valid = f", valid from {shown.not_before} to {shown.not_after}" if shown else ""
        text = f"TLS: {host}'s certificate{valid}, cannot be good by this machine's clock, which says {now}"
        return fail(
            SUBJECT, text, "set the clock: sudo timedatectl set-ntp true; if it is right, tell the server's owner"
        )
    issuer = f"{shown.issuer!r}" if shown else "an unknown authority"
    if wrong.verify_code in _UNKNOWN_ISSUER:
        text = f"TLS: {host}'s certificate was issued by {issuer}, which this machine does not know"
        fix = (
            "a proxy that reads along or a network's login page is likely: log in there or use another network; if it "
            "is your own proxy, set REQUESTS_CA_BUNDLE to a file with its certificate"
        )
        return fail(SUBJECT, text, fix)
    if wrong.verify_code in _OTHER_NAME:
        text = f"TLS: what answers for {host} has the certificate of another server, issued by {issuer}"
        return fail(SUBJECT, text, "log in to this network with a browser if it wants that; else correct [waziup] url")
    return fail(SUBJECT, f"TLS: {wrong.verify_message}", f"is the clock right ({now}), and is this the right server?")


def presented(url: str) -> Presented | None:
    """Fetch the certificate of a server, and send nothing; None when none comes."""
    from cryptography import x509

    try:
        parts = urlsplit(url)
        pem = ssl.get_server_certificate((parts.hostname or "", parts.port or 443), timeout=TIMEOUT_S)
        certificate = x509.load_pem_x509_certificate(pem.encode())
        issuer = certificate.issuer
        names = [
            str(name.value)
            for oid in (x509.NameOID.ORGANIZATION_NAME, x509.NameOID.COMMON_NAME)
            for name in issuer.get_attributes_for_oid(oid)
        ]
        return Presented(
            " / ".join(names)[:100] or "nobody",
            f"{certificate.not_valid_before_utc:%Y-%m-%d}",
            f"{certificate.not_valid_after_utc:%Y-%m-%d}",
        )
    except (OSError, ValueError):
        return None


def _verification(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """Find the verdict on the certificate in what the HTTP library has raised; None without one."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop()
        if isinstance(item, ssl.SSLCertVerificationError):
            return item
        if isinstance(item, BaseException) and item not in seen:
            seen.append(item)
            waiting += [item.__cause__, item.__context__, *item.args]
    return None
