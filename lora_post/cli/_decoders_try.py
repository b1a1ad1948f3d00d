"""`lora-post decoders try`"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from msgspec.structs import replace

from lora_post.cli._options import config_option, load_all_decoders, no_decoder, optional_config
from lora_post.cli._output import print_table, say
from lora_post.clocks.scale import now_us
from lora_post.config import Config
from lora_post.decoding.choice import Decoding
from lora_post.decoding.decode import run
from lora_post.decoding.javascript.published import examples_in, published_examples
from lora_post.decoding.loading import load_decoder
from lora_post.decoding.tried import Tried, summary
from lora_post.decoding.unit_slips import slips_in
from lora_post.errors import ConfigError, DecoderCrash, FrameError
from lora_post.model import Decoder, Device, Example, Frame, Link, RxInfo
from lora_post.text import did_you_mean, parse_bytes
from lora_post.times import WallUs
from lora_post.uplink.model import Report, Uplink

SENSOR_HEADERS = ("Sensor", "Values", "Unit", "Quantity", "Payloads")
NOT_SENT_HEADERS = ("Not sent", "Values", "Why")
STDIN = Path("-")
MAKERS = (".json", ".yaml", ".yml")
MAX_FPORT = 255
MAX_LINES = 10_000


@click.command(name="try")
@click.argument("name", metavar="NAME|FILE")
@click.argument("examples", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--device", "device_id", metavar="ID", help="Apply the options and sensor rules of this device.")
@config_option
@click.pass_obj
def try_decoder(
    group_path: Path | None, name: str, examples: Path | None, device_id: str | None, config_path: Path | None
) -> None:
    """Show which sensors payloads give, what is not sent, and why.

    EXAMPLES is a maker's file (NAME.examples.json, *-codec.yaml, test_decode_NAME.json) or has one `FPORT PAYLOAD` a
    line; `-` reads such lines from stdin. Without it the decoder's own examples are taken, and those that are
    published beside it.

    \b
        lora-post decoders try codecs/some-codec.js payloads.txt
        printf '2 0B45\\n' | lora-post decoders try codecs/some-codec.js -

    With the table at hand, set `only`, `drop` and [[device.sensor]] in the configuration, and look again with
    --device.
    """
    config = optional_config(config_path or group_path)
    decoder = _find(name, config)
    device = Device("", "", Link.LORAWAN, 0, decoder.name)
    if device_id is not None:
        device = replace(_device(device_id, config), decoder=decoder.name, decoder_by_fport={})
    tried = _examples(decoder, examples)
    reports = [_report(decoder, device, example) for example in tried]
    _show(summary(reports), len(tried))
    for problem in slips_in(reading for report in reports for reading in report.readings):
        say(str(problem), fg="yellow")


def _find(name: str, config: Config | None) -> Decoder:
    """Return a decoder by name or by file. Raises ConfigError."""
    try:
        if "/" in name or Path(name).is_file():
            return load_decoder(Path(name))
    except DecoderCrash as crash:
        raise ConfigError(crash.what, fix=crash.fix) from crash
    loaded = load_all_decoders(config)
    if name not in loaded.decoders:
        raise no_decoder(name, loaded)
    return loaded.decoders[name]


def _device(device_id: str, config: Config | None) -> Device:
    devices = {device.id: device for device in config.devices} if config else {}
    if device_id not in devices:
        raise ConfigError(
            f"--device: there is no device {device_id!r}", fix=did_you_mean(device_id, devices, "lora-post devices")
        )
    return devices[device_id]


def _examples(decoder: Decoder, path: Path | None) -> Sequence[Example]:
    """Return the payloads to try. Raises ConfigError for a file that cannot be read, and for none."""
    try:
        if path is None:
            found = [*decoder.examples, *published_examples(decoder)]
        elif path.suffix in MAKERS:
            found = examples_in(path)
        else:
            found = list(_lines(path))
    except DecoderCrash as crash:
        raise ConfigError(crash.what, fix=crash.fix) from crash
    if not found:
        raise ConfigError("there is no payload to try", fix="name a file with one `FPORT PAYLOAD` a line")
    return found


def _lines(path: Path) -> Iterator[Example]:
    try:
        with click.open_file(str(path), "r", encoding="utf-8", errors="replace") as file:
            for number, line in zip(range(1, MAX_LINES + 1), file, strict=False):
                fport, _, payload = line.strip().partition(" ")
                if not fport:
                    continue
                if not (fport.isascii() and fport.isdigit() and len(fport) <= 3 and int(fport) <= MAX_FPORT):
                    raise ConfigError(
                        f"{path} line {number}: want an FPort, a blank, and the payload", fix="as in `2 0B45`"
                    )
                yield Example(parse_bytes(payload).data.hex(), int(fport))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except FrameError as error:
        raise ConfigError(f"{path} line {number}: {error.what}", fix=error.fix) from error


def _report(decoder: Decoder, device: Device, example: Example) -> Report:
    received_us = now_us() if example.received_s is None else WallUs(round(example.received_s * 1e6))
    device = replace(device, options=example.options or device.options)
    frame = Frame("", received_us, b"", RxInfo())
    uplink = Uplink(frame, device, 0, example.fport, bytes.fromhex(example.payload), authentic=False)
    if not uplink.payload and example.fport:
        return run(uplink, decoder)
    return Decoding((), {decoder.name: decoder}).decode(uplink)


def _show(tried: Tried, count: int) -> None:
    sensors = [
        (each.id, ", ".join(each.values), each.unit, each.quantity, f"{each.payloads} of {count}")
        for each in tried.sensors
    ]
    print_table(SENSOR_HEADERS, sensors)
    if tried.not_sent:
        say("")
        rows = [(each.name, ", ".join(each.values), each.why) for each in tried.not_sent]
        print_table(NOT_SENT_HEADERS, rows, title="not sent:")
    if tried.said:
        say("")
    for line in tried.said:
        say(line, fg="yellow")
