"""The sink of [wazigate], with spool and uploader, against a server that answers as a WaziGate does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from lora_post.errors import Untold
from lora_post.metrics import Metrics
from lora_post.model import Reading, Value
from lora_post.secret import Account, Secret
from lora_post.sinks.wazigate import WazigateConfig
from lora_post.sinks.wazigate.sink import WazigateSink
from lora_post.spool.lanes import parked
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from tests.support.build import NOON_US, device, report
from tests.support.command import PATIENCE_S, counting_packet, run, write_site
from tests.support.upload_site import IMPATIENT, WatchedUploader, context_of
from tests.support.wazigate import Gate, wazigate

SINK = "wazigate"


@pytest.fixture
def gate() -> Iterator[Gate]:
    with wazigate() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SpoolFile]:
    with closing(SpoolFile(tmp_path / "spool.db")) as store:
        yield store


def put(store: SpoolFile, name: str, *values: Value, step_us: int = 1_000_000, unit: str = "") -> None:
    pond = device("pond-7")
    with store.transaction() as db:
        for index, value in enumerate(values):
            item = report(Reading(name, value, unit), time_us=NOON_US + index * step_us, of=pond)
            QueueWriter(store, [SINK], 1 << 30).put(db, [item])


def sink_for(gate: Gate, store: SpoolFile, account: Account | None = None) -> WazigateSink:
    return WazigateSink(WazigateConfig(gate.url, account), context_of(store, SINK, device(name="Pond 7 (west)")))


def work(store: SpoolFile, gate: Gate, password: str | None = None, username: str = "admin") -> WatchedUploader:
    """Step until nothing is left that could go out."""
    sink = sink_for(gate, store, Account(username, Secret(password)) if password else None)
    uploader = WatchedUploader(Queue(store, SINK), sink, Metrics(), policy=IMPATIENT)
    deadline = time.monotonic() + PATIENCE_S
    with closing(sink):
        while not uploader.is_idle():
            assert time.monotonic() < deadline, uploader.last_error
            if uploader.last_error and password:
                break
            Event().wait(uploader.step())
    return uploader


def test_device_sensors_and_values_appear_in_the_gate_s_own_words(store: SpoolFile, gate: Gate) -> None:
    put(store, "temperature_3", 27.2, 27.5, unit="°C")
    put(store, "owner", "<b>")
    work(store, gate)
    assert gate.devices["pond-7"]["name"] == "Pond 7 （west）"
    assert gate.devices["pond-7"]["sensors"][0] == {
        "id": "temperature_3",
        "name": "temperature_3",
        "kind": "Thermometer",
        "quantity": "Temperature",
        "unit": "DegreeCelsius",
    }
    noon = NOON_US // 1_000_000
    assert gate.values["pond-7", "temperature_3"] == [(noon, 27.2), (noon + 1, 27.5)]
    assert gate.row_values("pond-7", "owner~") == ["＜b＞"]


def test_steady_state_is_one_request(store: SpoolFile, gate: Gate) -> None:
    put(store, "t", 1)
    work(store, gate)
    assert gate.seen == [
        "POST /devices/pond-7/sensors/t/values",
        "GET /devices/pond-7/sensors",
        "POST /devices",
        "POST /devices/pond-7/sensors/t/values",
    ]
    gate.seen.clear()
    put(store, "t", *range(100))
    work(store, gate)
    assert gate.seen[-1:] == ["POST /devices/pond-7/sensors/t/values"]
    assert len([line for line in gate.seen if line.startswith("POST")]) == 1


def test_sensor_that_appears_later_is_added(store: SpoolFile, gate: Gate) -> None:
    put(store, "t", 1)
    work(store, gate)
    put(store, "h", {"x": [1, True, "y"]})
    work(store, gate)
    assert gate.row_values("pond-7", "h") == [{"x": [1, True, "y"]}]
    assert "POST /devices/pond-7/sensors" in gate.seen


@pytest.mark.parametrize("is_stored", [True, False])
def test_error_of_its_database_neither_loses_nor_doubles(store: SpoolFile, gate: Gate, is_stored: bool) -> None:
    values = [1, 1, 2**60, 0.5, "text", True, {"a": 1.0}, 1]
    put(store, "t", 1)
    work(store, gate)
    gate.values.clear()
    gate.trouble.append((r"POST .*/values$", 500, is_stored))
    put(store, "t", *values, step_us=300_000)
    work(store, gate)
    assert gate.row_values("pond-7", "t") == values


def test_equal_values_within_a_second_are_counted(store: SpoolFile, gate: Gate) -> None:
    """The gate keeps whole seconds: one of two equal readings is there, and the other one goes out."""
    put(store, "t", 5)
    work(store, gate)
    spool = Queue(store, SINK)
    put(store, "t", 5, 5, step_us=300_000)
    batch = spool.claim(spool.lanes_of("pond-7")[0], 10)
    assert batch is not None
    with closing(sink_for(gate, store)) as sink:
        assert sink.stored(batch, NOON_US) == [NOON_US]


def test_batch_is_found_in_a_history_of_many_pages(
    store: SpoolFile, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "t", 0)
    work(store, gate)
    spool = Queue(store, SINK)
    put(store, "t", *range(40), step_us=300_000)
    batch = spool.claim(spool.lanes_of("pond-7")[0], 40)
    assert batch is not None
    with closing(sink_for(gate, store)) as sink:
        sink.send(batch)
        gate.values[("pond-7", "t")] += [(NOON_US // 1_000_000 + n, -1.0) for n in range(12)]
        gate.values[("pond-7", "t")].sort()
        for rows in (7, 8, 1000):
            monkeypatch.setattr("lora_post.sinks.wazigate.sink.MAX_ROWS", rows)
            assert sink.stored(batch, NOON_US) == list(batch.times_us)
        monkeypatch.setattr("lora_post.sinks.wazigate.sink.MAX_ROWS", 3)
        with pytest.raises(Untold):
            sink.stored(batch, NOON_US)


def test_device_that_was_created_although_the_answer_said_otherwise(store: SpoolFile, gate: Gate) -> None:
    gate.trouble.append((r"POST /devices$", 500, True))
    put(store, "t", 1)
    work(store, gate)
    assert gate.row_values("pond-7", "t") == [1]


def test_login_is_made_when_it_is_asked_for_and_again_when_the_token_is_old(store: SpoolFile) -> None:
    with wazigate("sesame") as gate:
        put(store, "t", 1)
        assert work(store, gate, "sesame").is_idle()
        gate.token = "e30.e30.bmV3"
        put(store, "t", 1, 2)
        assert work(store, gate, "sesame").is_idle()
        assert gate.row_values("pond-7", "t")[-1] == 2


@pytest.mark.parametrize(
    ("password", "complaint"),
    [("wrong5ec2e7", "refuses user 'admin' or the password (Invalid credentials)"), (None, "wants a login")],
)
def test_login_that_fails_is_said_without_the_password(store: SpoolFile, password: str | None, complaint: str) -> None:
    with wazigate("sesame") as gate:
        put(store, "t", 1)
        account = Account("admin", Secret(password)) if password else None
        with closing(sink_for(gate, store, account)) as sink:
            uploader = WatchedUploader(Queue(store, SINK), sink, Metrics(), policy=IMPATIENT)
            uploader.step()
        assert complaint in str(uploader.last_error)
        assert "5ec2e7" not in str(uploader.last_error)
        assert not parked(store)


@pytest.mark.parametrize("body", [b"null", b"{}", b'[{"time": 5, "value": 1}]', b'[{"value": 1}]', b"[" * 100_000])
def test_hostile_answers_are_trouble_that_passes(
    store: SpoolFile, gate: Gate, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_answer = Gate.answer
    lies = 3

    def lie(self: Gate, method: str, *rest: object) -> tuple[int, bytes]:
        nonlocal lies
        if method == "GET" and lies:
            lies -= 1
            return 200, body
        return true_answer(self, method, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Gate, "answer", lie)
    gate.trouble.append((r"POST .*/values$", 500, False))
    put(store, "t", 1)
    work(store, gate)
    assert gate.row_values("pond-7", "t") == [1]


def test_address_of_something_else_is_said(store: SpoolFile, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    for status, body in ((200, b"<html>"), (404, b"404 page not found\n")):
        monkeypatch.setattr(Gate, "answer", lambda *_, s=status, b=body: (s, b))
        put(store, "t", 1)
        with closing(sink_for(gate, store)) as sink:
            uploader = WatchedUploader(Queue(store, SINK), sink, Metrics(), policy=IMPATIENT)
            while not uploader.last_error:
                Event().wait(uploader.step())
        assert "is not a WaziGate" in str(uploader.last_error)


def test_command_sends_to_a_gate_and_checks_it(tmp_path: Path, gate: Gate) -> None:
    config = write_site(tmp_path, "http://127.0.0.1:9/api/v2")
    text = config.read_text()
    table = f'[wazigate]\nurl = "{gate.url}"\n'
    config.write_text(text.replace(text[text.index("[waziup]") : text.index("[spool]")], table))
    checked = run("check", "-c", str(config)).stdout.decode()
    assert "WaziGate b827eb16d1a4d6ef answers" in checked
    done = run("run", "-c", str(config), stdin=b"".join(counting_packet(n) for n in range(6)))
    assert done.returncode == 0, done.stderr.decode()
    assert gate.row_values("counter-1", "analog_in_1") == [0, 0.01]
