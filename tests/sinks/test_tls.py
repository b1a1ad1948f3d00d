"""`lora-post check` against TLS servers as they are met in the field."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from lora_post.config import parse_config
from lora_post.sinks import SINKS
from lora_post.sinks.finding import Finding, Grade
from lora_post.sinks.tls import presented
from tests.support.tls import DAY, NOW, certificate, tls_server


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
