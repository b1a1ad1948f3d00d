"""`lora-post run`"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import click
from msgspec.structs import replace

from lora_post.captures.tee import Tee, open_heard
from lora_post.cli import EXIT_FAILED
from lora_post.cli._dry_run import dry_pipeline
from lora_post.cli._log import set_up_log
from lora_post.cli._options import (
    config_option,
    drain_timeout_option,
    log_options,
    open_hang_file,
    read_config,
    read_decoding,
    watch_decoders,
)
from lora_post.clocks.gateway import Times
from lora_post.config import Config, find_config
from lora_post.config.inputs import InputConfig
from lora_post.config.status import status_at
from lora_post.decoding.reload import ChangedDecoders
from lora_post.errors import ConfigError
from lora_post.inputs import Input, Surroundings, times_of
from lora_post.inputs.reopened import ReopenedInput
from lora_post.metrics import Metrics
from lora_post.observed.signs import Signs
from lora_post.run.ingest import pump_all
from lora_post.run.live import run_live
from lora_post.run.outcome_log import lacks_frames, summary
from lora_post.run.reload import Followed, stamps_of
from lora_post.run.signals import stop_on_signals
from lora_post.text import pip_install

log = logging.getLogger("lora_post")


@click.command(name="run")
@config_option
@click.option("--dry-run", "dry", is_flag=True, help="No spool, no server: print one JSON object per uplink.")
@click.option(
    "--status",
    "status_listen",
    metavar="HOST:PORT",
    help="Show a status page here, as 127.0.0.1:8080; replaces the address of [status].",
)
@drain_timeout_option("At the end of input")
@click.option(
    "--capture",
    "capture_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write all bytes that arrive to this file, for `lora-post replay`; an existing one is appended to.",
)
@log_options
def command(
    config_path: Path | None,
    dry: bool,
    status_listen: str | None,
    drain_timeout: float,
    capture_path: Path | None,
    verbose: bool,
    quiet: bool,
) -> None:
    """Read radio frames and send their values to Waziup and other destinations.

    The frames come from the [[input]]s of the configuration, from stdin when it names none:

    \b
        stdbuf -oL lora_gateway | lora-post run -c lora-post.toml

    It ends when all inputs have ended and the queue is empty: exit code 0, or 75 when readings stay
    queued (they go out at the next start), or 1 when not one frame was in an input. Ctrl-C and
    SIGTERM stop it at any time, nothing is lost.
    """
    set_up_log(verbose=verbose, quiet=quiet)
    path = config_path or find_config()
    stamps = stamps_of(path)
    read = read_config(path)
    config = with_status(read, status_listen)
    hangs = None if dry else open_hang_file(config)
    watch = watch_decoders(hangs)
    changed = ChangedDecoders()
    decode = read_decoding(config, watch, hangs, changed, is_strict=dry)
    metrics = Metrics()
    surroundings = Surroundings(config.gateway_id, metrics, only_listens=dry, spool=config.spool_path)
    stop = stop_on_signals()
    with ExitStack() as stack:
        tee = stack.enter_context(closing(Tee(capture_path))) if capture_path else None
        inputs = [_open(item, surroundings, tee) for item in config.inputs]
        if dry:
            broken = pump_all(inputs, dry_pipeline(config, decode, metrics), stop, Signs())
            log.info("%s", summary(metrics))
            code = EXIT_FAILED if broken or lacks_frames(metrics) else 0
        else:
            load = partial(read_decoding, watch=watch, hangs=hangs, changed=changed, is_strict=False)
            followed = Followed(stamps, read, load, changed)
            if config.fleet:
                code = _load_fleet()(config, config.fleet, decode, metrics, inputs, stop, drain_timeout, followed)
            else:
                code = run_live(config, decode, metrics, inputs, stop, drain_timeout, followed)
    raise SystemExit(code)


def _load_fleet() -> Callable[..., int]:
    """Return what runs a part of a fleet; its libraries are loaded only where one is configured. Raises ConfigError."""
    try:
        from lora_post.run.fleet import run_fleet
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"[fleet] needs {error.name}, which is not installed", fix=pip_install("lora-post[fleet]")
        ) from error
    return run_fleet


def _open(item: InputConfig, surroundings: Surroundings, tee: Tee | None) -> tuple[Input, Times]:
    """Open an input for good: it is opened again when it fails, unless it is a file with an end."""
    times, open_ = times_of(item), partial(open_heard, item, surroundings, tee)
    return (open_() if times is Times.RECORDED else ReopenedInput(open_, surroundings.metrics)), times


def with_status(config: Config, listen: str | None) -> Config:
    """Return the configuration with the status page at another address. Raises ConfigError."""
    if listen is None:
        return config
    try:
        table = config.status
        at = status_at(listen, table.token if table else None)
        return replace(config, status=replace(table, host=at.host, port=at.port) if table else at)
    except ConfigError as error:
        raise ConfigError(f"--status {error.what}", fix=error.fix) from error
