"""`lora-post replay`"""

from __future__ import annotations

import logging
import sys
from functools import partial
from math import inf
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, TaskID

from lora_post.cli import EXIT_FAILED
from lora_post.cli._dry_run import dry_pipeline
from lora_post.cli._log import set_up_log
from lora_post.cli._options import (
    config_option,
    drain_timeout_option,
    log_options,
    read_config,
    read_decoding,
    watch_decoders,
)
from lora_post.formats import FORMATS
from lora_post.inputs import parser_for
from lora_post.inputs.byte_streams import CHUNK, open_file
from lora_post.inputs.paced import PacedInput
from lora_post.inputs.stream import StreamInput
from lora_post.metrics import Metrics
from lora_post.observed.signs import Signs
from lora_post.run.delivery import EXIT_QUEUED, open_delivery
from lora_post.run.ingest import pump
from lora_post.run.outcome_log import RecordedLog, lacks_frames, summary
from lora_post.run.pipeline import Pipeline
from lora_post.run.signals import stop_on_signals
from lora_post.times import WallUs

log = logging.getLogger("lora_post")


PACED_CHUNK = 512  # the progress bar is to move with the frames


def read_speed(context: click.Context, parameter: click.Parameter, value: str) -> float:
    """Read a factor above 0, or `max` as infinity."""
    try:
        speed = inf if value == "max" else float(value)
    except ValueError:
        speed = 0.0
    if not speed > 0:
        raise click.BadParameter(f"{value!r} is neither a number above 0 nor max")
    return speed


@click.command(name="replay")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@config_option
@click.option("--dry-run", "dry", is_flag=True, help="No spool, no server: print one JSON object per uplink.")
@click.option(
    "--format",
    "input_format",
    type=click.Choice(list(FORMATS)),
    default="auto",
    show_default=True,
    help="What the files hold; auto: a file's suffix when it is the name of a format, else what its content tells.",
)
@click.option(
    "--speed",
    callback=read_speed,
    default="max",
    show_default=True,
    metavar="FACTOR|max",
    help="1: as far apart as the frames were heard; 10: ten times as fast; max: without waiting.",
)
@drain_timeout_option("After the last file")
@log_options
def command(
    files: tuple[Path, ...],
    config_path: Path | None,
    dry: bool,
    input_format: str,
    speed: float,
    drain_timeout: float,
    verbose: bool,
    quiet: bool,
) -> None:
    """Send captured frames through the pipeline that `run` uses.

    FILES are captures, as `lora-post capture` writes them, or hold what a radio program printed:

    \b
        lora-post replay monday.capture tuesday.capture --speed 10

    Name them oldest first: a device's counter only goes up, so
    frames that were accepted before are refused as replays, and so are older ones that were never heard.
    The same capture can be replayed again without doubling a value.
    Exit code 0; 1 when not one frame was in a file; 75 when readings stay queued or a file was not read to its end.
    """
    on_terminal = sys.stderr.isatty()
    set_up_log(verbose=verbose, quiet=quiet or (on_terminal and not verbose))
    config = read_config(config_path)
    decode = read_decoding(config, watch_decoders())
    stop = stop_on_signals()
    chunk = CHUNK if speed == inf else PACED_CHUNK
    inputs = [(open_file(path, chunk), parser_for(_format_of(path, input_format), config.gateway_id)) for path in files]
    progress = Progress(console=Console(stderr=True), transient=True, disable=not on_terminal or quiet)

    unread: list[Path] = []

    def feed(pipeline: Pipeline) -> None:
        # One after the other: the second file's counters go on where the first one's end.
        for path, (stream, parser) in zip(files, inputs, strict=True):
            task = progress.add_task(path.name, total=path.stat().st_size)
            if not stop.is_set():
                capture = StreamInput(stream, parser, partial(_advance, progress, task))
                pump(capture if speed == inf else PacedInput(capture, speed, stop.wait), pipeline, stop, Signs())
            if stop.is_set():
                unread.append(path)
            stream.close()

    metrics = Metrics()
    with progress:
        if dry:
            feed(dry_pipeline(config, decode, metrics))
            log.info("%s", summary(metrics))
            code = 0
        else:
            said = RecordedLog()
            with open_delivery(config, decode, metrics, said) as delivery:
                feed(delivery.pipeline)
                delivery.drain(drain_timeout, stop)
            code = delivery.sum_up(stop)
            said.finish()
    for path in files:
        if path.is_file() and not path.stat().st_size:
            log.warning("%s is empty: nothing was recorded", path)
    if lacks_frames(metrics):
        code = EXIT_FAILED
    if unread:
        log.warning("stopped before the end of %s; replay it again", ", ".join(map(str, unread)))
        code = EXIT_QUEUED
    raise SystemExit(code)


def _format_of(path: Path, wanted: str) -> str:
    suffix = path.suffix[1:]
    return suffix if wanted == "auto" and suffix in FORMATS else wanted


def _advance(progress: Progress, task: TaskID, data: bytes, now_us: WallUs) -> None:
    progress.advance(task, len(data))
