"""`lora-post capture`"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from lora_post.captures.writer import CaptureWriter, PcapWriter
from lora_post.cli._log import set_up_log
from lora_post.cli._options import log_options
from lora_post.clocks.scale import now_us, utc_text
from lora_post.config.inputs import InputConfig
from lora_post.errors import ConfigError, FrameError
from lora_post.formats import FORMATS
from lora_post.inputs import Input, Surroundings, open_input
from lora_post.inputs.stream import StreamInput
from lora_post.lorawan.phy_payload import describe
from lora_post.lowcost.header import parse_header, type_text
from lora_post.metrics import Metrics
from lora_post.model import ClearUplink, Frame, Heard, Link, Noise
from lora_post.run.outcome_log import OutcomeLog
from lora_post.run.signals import stop_on_signals
from lora_post.text import as_text, plural, printable
from lora_post.times import WallUs
from lora_post.uplink.unlock import link_of

log = logging.getLogger("lora_post")

READ_TIMEOUT_S = 0.5
NO_GATEWAY = ""


class CaptureDisplay:
    """Counts what is heard and shows it: each frame in the log, or one line on a terminal."""

    def __init__(self, *, line: bool) -> None:
        """line: keep one line up to date."""
        self._line = line
        self._noise_log = OutcomeLog()
        self._last = "nothing yet"
        self.size = self.frames = self.noise = 0

    def hear(self, data: bytes) -> None:
        self.size += len(data)
        self._show()

    def take(self, event: Heard) -> None:
        if isinstance(event, Noise):
            self.noise += 1
            if not self._line:
                self._noise_log(event)
        else:
            self.frames += 1
            self._last = describe_event(event)
            if not self._line:
                log.info("heard %s", self._last)
        self._show()

    def summary(self) -> str:
        return f"{plural(self.size, 'byte')}, {plural(self.frames, 'frame')}, {plural(self.noise, 'piece')} of noise"

    def _show(self) -> None:
        if self._line:
            text = f"{self.summary()}; last: {self._last}"
            sys.stderr.write(f"\r\x1b[K{printable(text)[:150]}")
            sys.stderr.flush()

    def close(self) -> None:
        if self._line:
            sys.stderr.write("\n")


@click.command(name="capture")
@click.option(
    "--input",
    "url",
    default="stdin:",
    show_default=True,
    metavar="URL",
    help="As the url of an [[input]]: stdin:, file:PATH, serial:///dev/ttyUSB0?baud=38400",
)
@click.option(
    "--format",
    "input_format",
    type=click.Choice(list(FORMATS)),
    default="auto",
    show_default=True,
    help="What the input's bytes are.",
)
@click.option(
    "--to",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file; an existing capture is appended to. With the suffix .pcap: frames, for Wireshark.",
)
@log_options
def command(url: str, input_format: str, path: Path, verbose: bool, quiet: bool) -> None:
    """Record what an input gives, with times of arrival; no configuration and no keys are needed.

    \b
        stdbuf -oL lora_gateway | lora-post capture --to monday.capture
        lora-post capture --input serial:///dev/ttyUSB0?baud=115200 --to monday.capture
        lora-post replay monday.capture --dry-run

    Ctrl-C ends it. The file is readable at any moment; a power cut costs at most its last 30 seconds. A file that
    ends in .pcap gets the frames instead of the bytes, in LoRaTap, and opens in Wireshark. What is recorded is as
    secret as the radio: encrypted payloads stay encrypted.
    """
    set_up_log(verbose=verbose, quiet=quiet or sys.stderr.isatty())
    stop = stop_on_signals()
    watch = CaptureDisplay(line=sys.stderr.isatty() and not quiet)
    with_pcap = path.suffix == ".pcap"
    capture = PcapWriter(path) if with_pcap else CaptureWriter(path)
    try:
        input_ = _open(url, input_format, capture, watch)
        try:
            while not stop.is_set() and (events := input_.events(READ_TIMEOUT_S)) is not None:
                _take(events, capture, watch)
                input_.kept()
            _take(input_.drain(), capture, watch)
        finally:
            input_.close()
    finally:
        capture.close()
        watch.close()
    click.echo(f"{path}: {watch.summary()}", err=True)


def _open(url: str, input_format: str, capture: CaptureWriter | PcapWriter, watch: CaptureDisplay) -> Input:
    def hear(data: bytes, at_us: WallUs) -> None:
        if isinstance(capture, CaptureWriter):
            capture.write(0, at_us, data)
        else:
            capture.sync_if_due()
        if data:
            watch.hear(data)

    surroundings = Surroundings(NO_GATEWAY, Metrics(), only_listens=True)
    input_ = open_input(InputConfig(url, input_format), surroundings, hear)
    if isinstance(capture, CaptureWriter):
        if not isinstance(input_, StreamInput):
            input_.close()
            raise ConfigError(
                f"--input {url} gives messages, not a stream of bytes", fix="record its frames: --to FILE.pcap"
            )
        capture.start(0, now_us(), input_format, input_.name)
    return input_


def _take(events: Sequence[Heard], capture: CaptureWriter | PcapWriter, watch: CaptureDisplay) -> None:
    for event in events:
        if isinstance(capture, PcapWriter) and isinstance(event, Frame):
            capture.write(event)
        watch.take(event)


def describe_event(event: Frame | ClearUplink) -> str:
    """Return in one line what was heard, as far as it can be read without keys."""
    if isinstance(event, ClearUplink):
        what = f"{plural(len(event.payload), 'byte')} from DevEUI {event.dev_eui:016x}, FCnt {event.fcnt}"
        return f"{utc_text(event.frame.time_us)}{_levels(event.frame)} {what}"
    packet = event.phy_payload
    try:
        if (event.link or link_of(packet)) is Link.LORAWAN:
            what = describe(packet)
        else:
            header = parse_header(packet)
            what = f"LowCostLoRaGw {type_text(header.ptype)} from address {header.src}: {as_text(packet[4:40])}"
    except FrameError as error:
        what = str(error)
    return f"{utc_text(event.time_us)}{_levels(event)} {plural(len(packet), 'byte')}: {what}"


def _levels(frame: Frame) -> str:
    levels = {"rssi": frame.rx.rssi_dbm, "snr": frame.rx.snr_db}
    return "".join(f" {name}={level}" for name, level in levels.items() if level is not None)
