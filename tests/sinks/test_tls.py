"""`lora-post check` against TLS servers as they are met in the field."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lora_post.config import parse_config
from lora_post.finding import Finding, Grade
from lora_post.sinks import SINKS
from lora_post.sinks.tls import presented

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def certificate(
    folder: Path, *, host: str = "127.0.0.1", start: datetime = NOW - DAY, end: datetime = NOW + DAY
) -> Path:
    """A certificate that made itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([
        x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Cafe \x1b[2J"),
        x509.NameAttribute(x509.NameOID.COMMON_NAME, "Hotspot CA"),
    ])  # fmt: skip
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@contextmanager
def tls_server(pem: Path) -> Iterator[str]:
    """Shakes hands with whoever connects, until the block ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(peer, server_side=True) as secure:
                    secure.recv(1)
            except OSError:
                pass
            finally:
                peer.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}/api/v2"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def tls_finding(url: str) -> Finding:
    text = f'[gateway]\nid = "gw1"\n[waziup]\nurl = "{url}"\nprovision = "never"\n'
    config = parse_config(text, Path("site.toml"), {})
    findings = SINKS["waziup"].check(config.destinations["waziup"], config.site)
    return next(item for item in findings if item.verdict is Grade.FAIL)


@pytest.fixture(autouse=True)
def nobody_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_certificate_of_an_unknown_authority_names_it_and_what_it_may_be(tmp_path: Path) -> None:
    with tls_server(certificate(tmp_path)) as url:
        finding = tls_finding(url)
    assert "was issued by 'Cafe \\x1b[2J / Hotspot CA', which this machine does not know" in finding.text
    assert "a proxy that reads along or a network's login page is likely" in finding.fix


@pytest.mark.parametrize(
    ("start", "end"), [(NOW - 9 * DAY, NOW - 5 * DAY), (NOW + 5 * DAY, NOW + 9 * DAY)], ids=["expired", "not yet valid"]
)
def test_certificate_of_another_time_points_to_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: datetime, end: datetime
) -> None:
    pem = certificate(tmp_path, start=start, end=end)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    with tls_server(pem) as url:
        finding = tls_finding(url)
    assert f"valid from {start:%Y-%m-%d} to {end:%Y-%m-%d}" in finding.text
    assert f"{NOW:%Y-%m-}" in finding.text.rpartition("says")[2]
    assert "timedatectl" in finding.fix


def test_certificate_of_another_server_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = certificate(tmp_path, host="192.0.2.1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    with tls_server(pem) as url:
        assert "has the certificate of another server" in tls_finding(url).text


def test_server_that_shows_no_certificate_has_none() -> None:
    assert presented("https://127.0.0.1:9/") is None
