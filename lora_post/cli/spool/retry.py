"""`lora-post spool retry`"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from lora_post.cli._options import config_option, load_all_decoders, log, watch_decoders
from lora_post.cli._output import say
from lora_post.cli._spool import opened
from lora_post.cli.spool._target import target_of
from lora_post.config import Config
from lora_post.decoding.choice import Decoding
from lora_post.decoding.hangs import LimitedDecoding, decoders_set_aside, hang_path
from lora_post.errors import ConfigError
from lora_post.model import Device, Link
from lora_post.spool import undecoded
from lora_post.spool.lanes import sensor_states
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.undecoded import Undecoded
from lora_post.spool.upkeep import decode_again, release
from lora_post.text import plural
from lora_post.uplink.model import Report


@click.command(name="retry")
@click.argument("target", metavar="[DEVICE[/SENSOR]]", required=False)
@config_option
@click.pass_obj
def command(group_path: Path | None, target: str | None, config_path: Path | None) -> None:
    """Send parked and refused readings again, and decode again what could not be decoded.

    Correct the cause first. Payloads are read with the keys, the decoders and the configuration of today, and their
    readings keep the time of reception; those that still fail stay.

    \b
        lora-post spool retry                           everything
        lora-post spool retry pond-7                    one device
        lora-post spool retry pond-7/temperature_3      one sensor, no payloads
    """
    with opened(config_path or group_path) as (config, spool_file):
        wanted = target_of(spool_file, target)
        reports = [] if wanted.name else _decode_again(config, spool_file, wanted.device)
        known = wanted.device is None or any(state.device == wanted.device for state in sensor_states(spool_file))
        released = release(spool_file, wanted.device, wanted.name) if known else 0
    good = [report for report in reports if report.problem is None]
    say(f"{plural(released, 'reading')} released, to be sent by `lora-post run`")
    if reports:
        readings = sum(len(report.readings) for report in good)
        say(f"{plural(len(good), 'payload')} decoded, with {plural(readings, 'reading')}")
    failed = Counter((r.uplink.device.id, r.problem) for r in reports if r.problem is not None)
    for (device, problem), count in failed.most_common():
        say(f"{plural(count, 'payload')} of {device} still cannot be decoded: {problem}")


def _decode_again(config: Config, spool_file: SpoolFile, device: str | None) -> list[Report]:
    loaded = load_all_decoders(config)
    for problem in loaded.problems:
        log.warning("decoder skipped: %s", problem)
    devices = {each.id: each for each in config.devices}
    # Payloads are read in transactions, for which the running lora-post waits.
    aside = decoders_set_aside(hang_path(config.spool_path), loaded.decoders)
    decoding = LimitedDecoding(Decoding(config.devices, loaded.decoders), loaded.decoders, watch_decoders(), aside)

    def read(row: Undecoded) -> Report:
        # A device that has left the configuration is read as it was then.
        of = devices.get(row.device) or Device(row.device, row.device, Link.LORAWAN, 0, row.decoder)
        uplink = row.uplink(of, config.gateway_id)
        if not row.is_from(of):
            return Report(uplink, (), problem="another device had this id then")
        return decoding.decode(uplink)

    rows = undecoded.load(spool_file, device)
    if rows and not config.destinations:
        raise ConfigError(
            f"{config.path}: there is nowhere to send to, so nothing is decoded again", fix="see [waziup]"
        )
    writer = QueueWriter(spool_file, config.destinations, config.spool_max_bytes, config.spool_when_full)
    return decode_again(spool_file, writer, rows, read)
