"""Whatever a parser raises costs the line, datagram or message that raised it, at every kind of input."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from lora_post.captures.writer import CaptureWriter
from lora_post.clocks.scale import now_us
from lora_post.config.inputs import InputConfig
from lora_post.decoding.choice import Decoding
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.errors import Fault
from lora_post.formats import rxpk_json
from lora_post.inputs import Input, Surroundings, open_input
from lora_post.inputs.reopened import AGAIN_AND_AGAIN, LONGEST_PAUSE_S, ReopenedInput
from lora_post.metrics import Metrics
from lora_post.model import Frame, Noise, NoiseReason
from lora_post.observed.signs import Signs
from lora_post.run.ingest import pump
from lora_post.run.pipeline import Pipeline
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.outcome import Outcome
from tests.support.build import lowcost_device
from tests.support.command import wait_until
from tests.support.keeping_broker import broker, publish
from tests.support.parsers import LAB_1
from tests.support.serial_port import Port

pytestmark = pytest.mark.usefixtures("believed_clock")
POISON = "poison"


def message(data: str) -> bytes:
    return json.dumps({"rxpk": [{"data": data}]}).encode()


GOOD = "QANcqwEAAAACxT+q1Ckpr7zYNLxj"
MESSAGES = (message(GOOD), message(POISON), message(GOOD))


@pytest.fixture(autouse=True)
def defective(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of our own in the innermost of a parser."""
    read = rxpk_json.read_rxpk

    def read_or_fail(packet: memoryview, gateway: str, at_us: int) -> Frame | Noise:
        if POISON.encode() in bytes(packet):
            raise OverflowError("int too large to convert to float")
        return read(packet, gateway, at_us)  # type: ignore[arg-type]

    monkeypatch.setattr(rxpk_json, "read_rxpk", read_or_fail)


@contextmanager
def pumped(input_: Input, folder: Path) -> Iterator[tuple[list[Outcome], Metrics, Signs]]:
    """What becomes of what an input gives, in a real pipeline with a spool."""
    outcomes: list[Outcome] = []
    metrics, stop, signs = Metrics(), Event(), Signs()

    def run() -> None:
        spool = SpoolFile(folder / "spool.db")
        decode = Decoding([lowcost_device()], load_folder(shipped_folder()).decoders).decode
        ledger = SpoolLedger(spool, [lowcost_device()], QueueWriter(spool, ["waziup"], 1 << 30))
        pump(input_, Pipeline(ledger, decode, metrics, outcomes.append), stop, signs)
        spool.close()

    thread = Thread(target=run)
    thread.start()
    try:
        yield outcomes, metrics, signs
    finally:
        stop.set()
        thread.join()
        input_.close()


def opened(url: str, input_format: str = "rxpk") -> Input:
    return open_input(InputConfig(url, input_format), Surroundings("gw1", Metrics(), only_listens=True))


@contextmanager
def file(folder: Path) -> Iterator[tuple[Input, Callable[[], None]]]:
    (folder / "heard").write_bytes(b"\n".join(MESSAGES))
    yield opened(f"file:{folder}/heard"), lambda: None


@contextmanager
def capture(folder: Path) -> Iterator[tuple[Input, Callable[[], None]]]:
    writer = CaptureWriter(folder / "x.capture")
    writer.start(0, now_us(), "rxpk", "x")
    for one in MESSAGES:
        writer.write(0, now_us(), one + b"\n")
    writer.close()
    yield opened(f"file:{folder}/x.capture", "auto"), lambda: None


@contextmanager
def pipe(folder: Path) -> Iterator[tuple[Input, Callable[[], None]]]:
    os.mkfifo(folder / "pipe")
    reader = os.open(folder / "pipe", os.O_RDWR)
    yield opened(f"file:{folder}/pipe"), lambda: [os.write(reader, one + b"\n") for one in MESSAGES] and None
    os.close(reader)


@contextmanager
def serial(folder: Path) -> Iterator[tuple[Input, Callable[[], None]]]:
    port = Port(folder / "tty")
    port.plug_in()
    input_ = opened(f"serial://{port.path}")

    def send() -> None:
        wait_until(lambda: input_._stream.openings, "not open")  # type: ignore[attr-defined]
        port.write(b"\n".join((*MESSAGES, b"")))

    yield input_, send
    port.unplug()


@contextmanager
def udp(folder: Path) -> Iterator[tuple[Input, Callable[[], None]]]:
    input_ = opened("udp://127.0.0.1:0")
    port = int(input_.name.rpartition(":")[2])

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gateway:
            gateway.connect(("127.0.0.1", port))
            for token, one in enumerate(MESSAGES):
                gateway.send(b"\x02\0%c\0\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa" % token + one)
                assert gateway.recv(100)  # acknowledged

    yield input_, send


@contextmanager
def mqtt(folder: Path) -> Iterator[tuple[Input, Callable[[], None]]]:
    with broker(folder) as server:
        input_ = opened(f"mqtt://127.0.0.1:{server.port}/up")

        def send() -> None:
            wait_until(lambda: getattr(input_, "_subscribed", False), "not subscribed")
            publish(server.port, *(("up", one) for one in MESSAGES))

        yield input_, send


@pytest.mark.parametrize("kind", [file, capture, pipe, serial, udp, mqtt])
def test_defect_over_one_message_costs_only_that_one(
    kind: Callable[[Path], Iterator[tuple[Input, Callable[[], None]]]], tmp_path: Path
) -> None:
    with kind(tmp_path) as (input_, send), pumped(input_, tmp_path) as (outcomes, metrics, _):  # type: ignore[attr-defined]
        send()
        wait_until(lambda: len(outcomes) >= 3, f"only {outcomes}")
    (noise,) = [one for one in outcomes if isinstance(one, Noise)]
    assert noise.reason is NoiseReason.DEFECT and "OverflowError" in noise.detail and POISON in noise.detail
    assert [one.frame.phy_payload for one in outcomes if not isinstance(one, Noise)] == [LAB_1, LAB_1]  # type: ignore[union-attr]
    assert metrics.labels("noise") == {"defect": 1}


def test_socket_that_fails_is_opened_again_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    opened_so_far: list[Input] = []

    def open_() -> Input:
        opened_so_far.append(opened("udp://127.0.0.1:0"))
        return opened_so_far[-1]

    def send(data: str) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gateway:
            gateway.connect(("127.0.0.1", int(opened_so_far[-1].name.rpartition(":")[2])))
            gateway.send(b"\x02\0\1\0\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa" + message(data))
            assert gateway.recv(100)

    metrics, now = Metrics(), [0.0]
    input_ = ReopenedInput(open_, metrics, lambda seconds: now.append(now[-1] + LONGEST_PAUSE_S), lambda: now[-1])
    input_.events(0.0)
    for times in range(1, AGAIN_AND_AGAIN + 1):
        send(GOOD)
        opened_so_far[-1]._listener.close()  # type: ignore[attr-defined]
        heard: list[object] = []
        wait_until(lambda heard=heard: heard.extend(input_.events(0.05)) or input_.trouble, "no trouble")  # type: ignore[misc]
        wait_until(
            lambda heard=heard, times=times: heard.extend(input_.events(0.05)) or len(opened_so_far) > times,  # type: ignore[misc]
            "not opened again",
        )
        assert len(heard) == 1
    assert isinstance(input_.trouble, Fault) and "failed 3 times in a row" in input_.trouble.what
    assert metrics.labels("input_failures") == {input_.name: AGAIN_AND_AGAIN}
    input_.close()
