"""Serial modules that send: real pseudo-terminals, and modules that answer as their manuals say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from msgspec.structs import replace

from lora_post.config import parse_config
from lora_post.config.inputs import InputConfig
from lora_post.downlink.transmit import Downlink, Transmission, Window
from lora_post.downlink.windows import windows_after
from lora_post.formats.at_send import ModuleRadio, radio_of
from lora_post.inputs import Input, Surroundings, module_sender, open_input, serial_module
from lora_post.inputs.module_sender import ModuleSender
from lora_post.inputs.stream import StreamInput
from lora_post.lorawan.region import load_region
from lora_post.metrics import Metrics
from lora_post.model import Frame
from tests.support.command import PATIENCE_S
from tests.support.radio_module import RakModule, Rn2483Module

REGION = load_region("EU868")
UP, DOWN = bytes.fromhex("40035cab0100000002c53faad4"), bytes.fromhex("60035cab0100000002c53faad4")
RN = (
    "mac pause",
    "radio set freq 868100000",
    "radio set sf sf12",
    "radio set iqi off",
    "radio set crc on",
    "radio rx 0",
)
RAK = ("AT+P2P=868100000:12:0:0:8:14", "AT+IQINVER=0", "AT+PRECV=65534")


class End:
    """An input with a module, read by a thread as in a run."""

    def __init__(self, folder: Path, kind: str) -> None:
        path = folder / "port"
        self.module: Rn2483Module | RakModule = Rn2483Module(path) if kind == "rn2483" else RakModule(path)
        self.metrics = Metrics()
        setup = RN if kind == "rn2483" else RAK
        item = InputConfig(f"serial://{path}?baud=57600", kind, setup=setup, transmit=True)
        self.input: Input = open_input(item, Surroundings("gw1", self.metrics))
        assert isinstance(self.input, StreamInput) and isinstance(self.input.transmitter, ModuleSender)
        self.sender = self.input.transmitter
        self.frames: list[Frame] = []
        self.told: list[Transmission] = []
        self._stop = Event()
        self._thread = Thread(target=self._read)
        self._thread.start()
        self.until(lambda: self.module.is_receiving)

    def _read(self) -> None:
        while not self._stop.is_set():
            self.frames += [each for each in self.input.events(0.02) or () if isinstance(each, Frame)]

    def until(self, done: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def hear(self) -> Frame:
        """The module receives a frame; what becomes of it."""
        before = len(self.frames)
        self.until(lambda: self.module.is_receiving)
        self.module.hear(UP)
        self.until(lambda: len(self.frames) > before)
        return self.frames[-1]

    def send(self, *windows: Window) -> None:
        self.sender.send(Downlink("answer", "gw1", DOWN, windows, self.told.append))

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.input.close()
        self.module.close()


@pytest.fixture(params=["rn2483", "rak"])
def end(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[End]:
    monkeypatch.setattr(module_sender, "PREPARE_S", 0.05)
    monkeypatch.setattr(module_sender, "LATE_S", PATIENCE_S)  # however slow this machine is
    monkeypatch.setattr(serial_module, "ANSWERS_S", PATIENCE_S)
    end = End(tmp_path, request.param)
    yield end
    end.close()


def soon(frame: Frame, seconds: float = 0.3) -> Window:
    """RX1, so long after now."""
    rx1, _ = windows_after(frame, REGION, 1)
    return replace(rx1, tmst=round((time.monotonic() + seconds) * 1e6) % 2**32)


def at_once() -> Window:
    return Window("RX2, class C", None, REGION.rx2_slot())


def test_uplink_is_answered_in_its_window_and_the_module_receives_as_before(end: End) -> None:
    frame = end.hear()
    assert (frame.rx.freq_hz, frame.rx.sf, frame.rx.bw_hz) == (868_100_000, 12, 125_000)
    rx1 = soon(frame)
    assert end.sender.station("gw1")
    end.send(rx1, windows_after(frame, REGION, 1)[1])
    end.until(lambda: end.told)
    assert end.told == [Transmission("gw1", "RX1", True)]
    (on_air,) = end.module.on_air
    assert on_air.phy_payload == DOWN
    wire_s = 2 * len(DOWN) * 10 / 57600 + 0.01
    after_us = (round(on_air.at_s * 1e6) - (rx1.tmst or 0) + 2**31) % 2**32 - 2**31
    assert after_us >= -wire_s * 1e6  # never before its window
    is_rn = isinstance(end.module, Rn2483Module)
    sent = {"freq": "868100000", "sf": "sf12", "pwr": "14", "iqi": "on", "crc": "off"}
    assert on_air.settings == (sent if is_rn else {"P2P": "868100000:12:0:0:8:14", "IQINVER": "1"})
    assert end.hear().phy_payload == UP
    now = {"freq": "868100000", "sf": "sf12", "pwr": "14", "iqi": "off", "crc": "on"}
    assert end.module.settings == (now if is_rn else {"P2P": "868100000:12:0:0:8:14", "IQINVER": "0"})


def test_device_of_class_c_is_sent_to_at_once_where_it_listens(end: End) -> None:
    end.hear()
    end.send(at_once())
    end.until(lambda: end.told)
    assert end.told == [Transmission("gw1", "RX2, class C", True)]
    settings = end.module.on_air[0].settings
    assert settings.get("freq", settings.get("P2P", "")).startswith("869525000")
    end.hear()
    assert end.module.settings.get("freq", end.module.settings.get("P2P", "")).startswith("868100000")


def test_module_that_refuses_is_told_of_and_receives_again(end: End) -> None:
    for refused in ("radio rxstop", "AT+IQINVER=1"):  # firmware that is too old
        end.module.refuses[refused] = "invalid_param" if refused.startswith("radio") else "AT_ERROR"
    end.module.is_receiving = False  # the simulated one needs no rxstop to be told again
    end.send(at_once())
    end.until(lambda: end.told)
    assert end.told[0].is_sent is False and "the module answers '" in end.told[0].why
    assert not end.module.on_air
    end.module.refuses.clear()
    end.hear()


def test_module_that_does_not_say_whether_it_has_sent_leaves_that_open(
    end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_module, "MORE_S", 0.0)
    end.module.is_mute = True
    end.send(Window("at once", None, REGION.slot(868_100_000, 5)))
    end.until(lambda: end.told)
    assert end.told == [Transmission("gw1", "at once", None)]
    end.hear()


def test_of_frames_that_are_read_together_the_last_one_can_be_answered(end: End) -> None:
    frame = end.hear()
    first, last = end.sender.heard([frame, frame])
    assert isinstance(first, Frame) and isinstance(last, Frame)
    assert (first.tmst, last.tmst) == (None, frame.tmst)


def test_one_frame_at_a_time_and_none_that_is_too_late_or_of_another_bandwidth(end: End) -> None:
    frame = end.hear()
    rx1, _ = windows_after(frame, REGION, 5)
    end.send(rx1)
    end.send(at_once())
    assert [each.why for each in end.told] == ["the module is about to send another frame"]
    late = Window("RX1", ((rx1.tmst or 0) - 5_000_000) % 2**32, rx1.slot)
    wide = Window("RX2", rx1.tmst, load_region("US915").rx2_slot())
    end.send(late)
    end.send(wide)
    assert end.told[1].why.endswith("ms too late")
    assert end.told[2].why == "the module is set up for 125 kHz"
    assert end.metrics.labels("downlinks") == {"failed": 2, "late": 1}


def test_frame_that_comes_while_the_module_is_made_ready_is_not_lost(end: End) -> None:
    first = "radio rxstop" if isinstance(end.module, Rn2483Module) else "AT+PRECV=0"
    line = f"radio_rx  {UP.hex()}" if isinstance(end.module, Rn2483Module) else f"+EVT:RXP2P:-57:8:{UP.hex()}"
    end.module.says[first] = line
    end.send(at_once())
    end.until(lambda: end.told and end.frames)
    assert end.told[0].is_sent is True and end.frames[0].phy_payload == UP
    assert end.frames[0].tmst is None, "nobody knows when it came, so that it is not answered at a wrong moment"
    assert end.hear().tmst is not None


def test_what_was_to_be_sent_after_the_end_leaves_the_port_alone(end: End) -> None:
    end.send(soon(end.hear(), 1.0))
    end.input.close()
    end.until(lambda: end.told)
    assert end.told == [Transmission("gw1", "RX1", False, "lora-post is about to stop")]
    assert not end.module.on_air


@pytest.mark.parametrize(
    ("kind", "setup", "radio"),
    [
        ("rn2483", RN, ModuleRadio(868_100_000, 12, 125_000)),
        ("rn2483", (*RN, "radio set bw 250"), ModuleRadio(868_100_000, 12, 250_000)),
        ("rn2483", ("mac pause", "radio rx 0"), None),
        ("rn2483", ("radio set freq 868100000", "radio set sf sf99"), None),
        ("rak", RAK, ModuleRadio(868_100_000, 12, 125_000)),
        ("rak", ("AT+P2P=868100000:7:500:1:8:14",), ModuleRadio(868_100_000, 7, 500_000)),
        ("rak", ("AT+PRECV=65534",), None),
        ("reyax", ("AT+BAND=868100000",), None),
    ],
)
def test_module_sends_where_its_setup_says_how_it_receives(
    kind: str, setup: tuple[str, ...], radio: ModuleRadio | None
) -> None:
    assert radio_of(kind, setup) == radio


def test_configuration_has_a_module_transmit_only_where_it_can(tmp_path: Path) -> None:
    site = '[gateway]\nid = "gw1"\n[network]\nregion = "EU868"\n[[input]]\nurl = "serial:///dev/x"\nformat = "rn2483"\n'
    able, unable = 'setup = ["radio set freq 868100000", "radio set sf sf12"]\n', 'setup = "auto"\n'
    assert parse_config(site + able, tmp_path / "x.toml", {}).inputs[0].transmit
    assert not parse_config(site + unable, tmp_path / "x.toml", {}).inputs[0].transmit
    assert not parse_config(site + able + "transmit = false\n", tmp_path / "x.toml", {}).inputs[0].transmit


def test_module_that_is_not_there_cannot_send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_module, "ANSWERS_S", 0.02)
    item = InputConfig(f"serial://{tmp_path}/none?baud=57600", "rn2483", setup=RN, transmit=True)
    input_ = open_input(item, Surroundings("gw1", Metrics()))
    assert isinstance(input_, StreamInput) and input_.transmitter
    input_.events(0.0)
    assert input_.transmitter.station("gw1") is None
    told: list[Transmission] = []
    input_.transmitter.send(Downlink("answer", "gw1", DOWN, (at_once(),), told.append))
    deadline = time.monotonic() + PATIENCE_S
    while not told and time.monotonic() < deadline:
        time.sleep(0.01)
    assert told[0].is_sent is False
    input_.close()
