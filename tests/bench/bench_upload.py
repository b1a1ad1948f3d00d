"""What delivery costs: requests and bytes a reading, readings a second in and out, and how soon a frame is on its way.

    python -m tests.bench.bench_upload

Bytes are counted on the socket, both ways, headers included, without and with TLS; the token is as long as
the platform's, 1.3 kB. Rates are medians of rounds in turns with a bare `requests.Session` that posts batches of
the same size to the same server, a process of its own; requests are CPU time, in turns with bare libraries. `--only`
takes a part: cost, rates, requests, enqueue, latency.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from urllib3 import connection_from_url

from lora_post.clocks.scale import now_us
from lora_post.config.upload import UploadRules
from lora_post.model import Reading
from lora_post.net.http_client import HttpClient
from lora_post.sandbox.endpoint import Settings
from lora_post.sandbox.server import API_PATH, _server
from lora_post.sandbox.state import State
from lora_post.secret import Account, Secret
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.model import Report
from lora_post.uplink.unlock import seal_lorawan
from lora_post.upload.uploader import Uploader
from lora_post.web.serving import base_url, listen, running
from tests.bench.turns import spread
from tests.support.build import NOON_US, report
from tests.support.command import (
    dev_addr,
    keys,
    packet,
    sandbox_process,
    started,
    wait_until,
    write_site,
)
from tests.support.ports import free_port
from tests.support.upload_site import Site, work
from tests.support.waziup import BadDays, CuttingProxy, Waziup, waziup

FRAMES = 200
BACKLOG = 100_000
ROUND = 10_000
BATCH = 100
QUEUED = 200_000
GROUP = 500
HELD = 11  # readings at the minutes 0, 1, … 10
REQUESTS, REQUEST_ROUNDS = 100, 8
LATENCY_FRAMES, LATENCY_RATE = 1_500, 100
WARM_S = 3.0
TOKEN = b"e30." + urlsafe_b64encode(b'{"preferred_username":"demo","exp":4000000000,"iat":0}') + b".x"
# The token repeats the name, in base64.
LONG_NAME = "x" * 777


def main() -> None:
    parts = {"cost": _costs, "rates": _rates, "requests": _requests, "enqueue": _enqueue, "latency": _latency}
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", choices=parts)
    only = options.parse_args().only
    for name, part in parts.items():
        if only in (None, name):
            part()


def _costs() -> None:
    users = {"demo": "demo", "admin": "admin", LONG_NAME: "long"}
    for serving, how in ((waziup, ""), (_waziup_tls, "TLS: ")):
        with serving(Settings(users=users)) as server:
            account = Account(LONG_NAME, Secret("long"))
            _say(f"{how}token of {len(server.token(LONG_NAME, 'long'))} bytes")
            for title, of, is_open in (("account", account, True), ("public devices, no token", None, False)):
                start = partial(Site.uploader, account=of, provision=is_open)
                _cost(server, f"{how}trickle, {title}", start, 1)
            start = partial(Site.uploader, account=account)
            holding = partial(_holding, account=account)
            _cost(server, f"{how}hold of ten minutes, a reading a minute", holding, HELD, _a_minute_each)
            _cost(server, f"{how}backlog", start, 1000)


@contextmanager
def _waziup_tls(settings: Settings) -> Iterator[Waziup]:
    """A sandbox behind TLS, with a certificate that this process trusts while it runs."""
    days = BadDays()
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(State(None)) as state,
        listen("127.0.0.1", 0) as listener,
        pytest.MonkeyPatch.context() as patch,
    ):
        certificate, key = _certificate(Path(folder))
        server = _server(state, settings, now_us, days)
        server.config.ssl_certfile, server.config.ssl_keyfile = str(certificate), str(key)
        patch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        with running(server, listener, "sandbox"):
            yield Waziup(base_url(listener).replace("http:", "https:") + API_PATH, days)


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _holding(site: Site, account: Account) -> Uploader:
    site.rules = UploadRules(hold_s=600.0)
    return site.uploader(account)


def _at_once(site: Site, uploader: Uploader, first: int, last: int) -> None:
    _put(site, first, last)
    work(uploader)


def _a_minute_each(site: Site, uploader: Uploader, first: int, last: int) -> None:
    """With a holding time of ten minutes; each reading is up to two seconds late."""
    for index in range(first, last):
        now_s = NOON_US / 1e6 + index * 60 + index * 7919 % 2000 / 1000
        site.clock = lambda now_s=now_s: now_s
        while uploader.step() == 0:
            pass
        site.put(_report(index, int(now_s * 1e6)))


def _cost(
    server: Waziup,
    title: str,
    start: Callable[[Site], Uploader],
    at_a_time: int,
    feed: Callable[[Site, Uploader, int, int], None] = _at_once,
) -> None:
    """Requests and bytes a reading of two sensors, so many readings of each at a time."""
    server.call("DELETE", "/devices/pond-7")
    if "no token" in title:
        body = {"id": "pond-7", "visibility": "public", "sensors": [{"id": "temperature_1"}, {"id": "voltage_2"}]}
        server.call("POST", "/devices", json=body)
    meter = CuttingProxy(server.url)
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), meter.url.replace("http:", server.url.partition("/")[0]))
        uploader = start(site)
        _put(site, 0, 1)
        work(uploader)
        size, calls, connections = meter.bytes, len(server.days.seen), meter.connections
        rounds = max(1, FRAMES // at_a_time)
        for index in range(rounds):
            feed(site, uploader, 1 + index * at_a_time, 1 + (index + 1) * at_a_time)
        site.allowance.hold_no_longer()
        work(uploader)
        readings = rounds * at_a_time * 2
        _say(
            f"{title}: {(len(server.days.seen) - calls) / readings:.3f} requests "
            f"and {(meter.bytes - size) / readings:.0f} bytes a reading, "
            f"{meter.connections - connections} new connections"
        )
        site.close()
    meter.close()


def _put(site: Site, first: int, last: int) -> None:
    site.put(*(_report(index, _time(index)) for index in range(first, last)))


def _report(index: int, time_us: int) -> Report:
    return report(Reading("temperature_1", index / 10, "°C", 1), Reading("voltage_2", 3.3, "V"), time_us=time_us)


def _time(index: int) -> int:
    return NOON_US + index * 600_123_456


def _rates() -> None:
    with sandbox_process(free_port()) as url, tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), url)
        uploader = site.uploader()
        _put(site, 0, 1)
        work(uploader)
        ways = [partial(_drain, uploader), _bare_loop(url)]
        found = []
        for number in range(BACKLOG // ROUND):
            _put(site, 1 + number * ROUND // 2, 1 + (number + 1) * ROUND // 2)
            turn = -1 if number % 2 else 1
            found.append([_spent(way) for way in ways[::turn]][::turn])
            assert uploader.is_idle()
        rates = [bare_s / ours_s for (ours_s, _), (bare_s, _) in found]
        cpus = [ours_s / bare_s for (_, ours_s), (_, bare_s) in found]
        rate = ROUND / statistics.median(ours_s for (ours_s, _), _ in found)
        _say(
            f"drain of {BACKLOG} readings: {rate:.0f} a second, {spread(rates, 2)} of a bare loop's rate, "
            f"with {spread(cpus, 2)} of its CPU time"
        )
        site.close()


def _spent(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of a clock, and of CPU time in this process."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall_s, time.process_time() - cpu_s


def _drain(uploader: Uploader) -> None:
    while uploader.step() == 0:
        pass


def _bare_loop(url: str) -> Callable[[], None]:
    session = requests.Session()
    token = session.post(f"{url}/auth/token", json={"username": "demo", "password": "demo"}, timeout=10).text
    session.headers["Authorization"] = f"Bearer {token}"
    body = {"id": "bare", "sensors": [{"id": "t"}]}
    session.post(f"{url}/devices", json=body, timeout=10)

    def loop() -> None:
        for start in range(0, ROUND, BATCH):
            values = [{"value": n / 10, "timestamp": "2026-03-01T12:00:00.123Z"} for n in range(start, start + BATCH)]
            session.post(f"{url}/devices/bare/sensors/t/values", json=values, timeout=10).raise_for_status()

    return loop


def _enqueue() -> None:
    """Into the spool, in groups as they arrive in a burst."""
    reports = [report(Reading("t", n / 10), Reading("h", n), time_us=_time(n)) for n in range(QUEUED // 2)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spool.db"
        store = SpoolFile(path)
        writer = QueueWriter(store, ["waziup"], 1 << 40)
        began = time.perf_counter()
        for start in range(0, len(reports), GROUP // 2):
            with store.transaction() as db:
                writer.put(db, reports[start : start + GROUP // 2])
        rate = QUEUED / (time.perf_counter() - began)
        store.close()
        _say(f"into the spool: {rate:.0f} readings a second, {path.stat().st_size / QUEUED:.0f} bytes each")


def _requests() -> None:
    """One reading a request, as in a steady run: the client's own, urllib3's pool and `requests` by turns."""
    with sandbox_process(free_port()) as url:
        token = requests.post(f"{url}/auth/token", json={"username": "demo", "password": "demo"}, timeout=10).text
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        requests.post(f"{url}/devices", json={"id": "bare", "sensors": [{"id": "t"}]}, headers=headers, timeout=10)
        path = "/devices/bare/sensors/t/value"
        body = {"value": 1.5, "timestamp": "2026-03-01T12:00:00.123Z"}
        client, session, pool = HttpClient(url), requests.Session(), connection_from_url(url)
        client.use_token(Secret(token))
        target, data = urlsplit(url).path + path, json.dumps(body).encode()
        ways: dict[str, Callable[[], object]] = {
            "ours": lambda: client.call("POST", path, body),
            "urllib3": lambda: pool.urlopen("POST", target, body=data, headers=headers, retries=False),
            "requests": lambda: session.post(url + path, json=body, headers=headers, timeout=10),
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(REQUEST_ROUNDS):
            for name, ask in ways.items():
                began = time.process_time()
                for _ in range(REQUESTS):
                    ask()
                found[name].append((time.process_time() - began) / REQUESTS * 1e3)
        client.close()
    for name, each in found.items():
        _say(f"CPU of a request, {name}: {statistics.median(each):.2f} ms ({min(each):.2f} … {max(each):.2f})")


def _latency() -> None:
    """From the write of a frame to the server's answer to the request that carries it, at a steady rate.

    The server looks nothing up: what is measured is the way there. Each frame says its number.
    """
    with _server_at_once() as (url, arrived), tempfile.TemporaryDirectory() as folder:
        with started("run", "-q", "-c", str(_steady_site(Path(folder), url))) as process:
            assert process.stdin is not None
            sent: list[float] = []
            begin = time.perf_counter() + WARM_S
            for index in range(LATENCY_FRAMES):
                time.sleep(max(0.0, begin + index / LATENCY_RATE - time.perf_counter()))
                sent.append(time.perf_counter())
                process.stdin.write(_numbered(index))
            wait_until(lambda: len(arrived) == LATENCY_FRAMES, "not all has arrived")
        found = sorted(arrived[index] - sent[index] for index in range(LATENCY_FRAMES // 10, LATENCY_FRAMES))
    at = {share: found[min(len(found) - 1, int(len(found) * share))] * 1e3 for share in (0.5, 0.95, 0.99)}
    _say(
        f"frame to server at {LATENCY_RATE} a second, {len(found)} frames: median {at[0.5]:.1f} ms, "
        f"95 % within {at[0.95]:.1f} ms, 99 % within {at[0.99]:.1f} ms, all within {found[-1] * 1e3:.1f} ms"
    )


def _numbered(index: int) -> bytes:
    """A frame of the first device with its number as its only value."""
    payload = bytes((1, 3)) + (index % 20_000).to_bytes(2)
    return packet(seal_lorawan(keys(0), dev_addr(0), index, 2, payload), 1_790_000_000_000_000 + index * 1_000_000)


def _steady_site(folder: Path, url: str) -> Path:
    site = write_site(folder, url)
    site.write_text(site.read_text().replace("[waziup]", '[waziup]\nprovision = "never"'))
    return site


@contextmanager
def _server_at_once() -> Iterator[tuple[str, dict[int, float]]]:
    """Answers every request at once; gives its address, and when the value of each frame came."""
    arrived: dict[int, float] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.endswith("/auth/token"):
                self._answer(200, TOKEN)
                return
            now, values = time.perf_counter(), json.loads(body)
            for each in values if isinstance(values, list) else [values]:
                arrived[round(each["value"] * 100)] = now
            self._answer(204, b"")

        def do_GET(self) -> None:
            self._answer(200, b"{}")

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self._answer(204, b"")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/api/v2", arrived
        server.shutdown()


if __name__ == "__main__":
    main()
