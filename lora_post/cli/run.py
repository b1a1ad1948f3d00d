"""`lora-post run`"""

from __future__ import annotations

import logging
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

import click
from msgspec.structs import replace

from lora_post.cli import EXIT_FAILED
from lora_post.cli.capture import Tee
from lora_post.cli.dry_run import dry_run
from lora_post.cli.options import (
    config_option,
    drain_timeout_option,
    log_options,
    open_hang_file,
    read_config,
    read_decoding,
    set_up_log,
    watch_decoders,
)
from lora_post.clocks.gateway import Times
from lora_post.config import Config
from lora_post.config.inputs import InputConfig
from lora_post.config.status import status_at
from lora_post.errors import ConfigError
from lora_post.inputs import Input, Surroundings, open_input, times_of
from lora_post.inputs.stream import StreamInput
from lora_post.metrics import Metrics
from lora_post.observed.signs import Signs
from lora_post.run.ingest import pump
from lora_post.run.oversight import Oversight
from lora_post.run.pipeline import Pipeline
from lora_post.run.session import deliver, stop_on_signals

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
        lora_gateway | lora-post run -c lora-post.toml

    It ends when all inputs have ended and the queue is empty: exit code 0, or 75 when readings stay
    queued (they go out at the next start). Ctrl-C and SIGTERM stop it at any time, nothing is lost.
    """
    set_up_log(verbose=verbose, quiet=quiet)
    config = with_status(read_config(config_path), status_listen)
    hangs = None if dry else open_hang_file(config)
    decode = read_decoding(config, watch_decoders(hangs), hangs)
    metrics = Metrics()
    surroundings = Surroundings(config.gateway_id, metrics, only_listens=dry)
    tee = Tee(capture_path) if capture_path else None
    inputs = [(_open_heard(item, surroundings, tee), times_of(item)) for item in config.inputs]
    stop = stop_on_signals()

    broken: list[Exception] = []
    oversight = Oversight(config, metrics)
    for input_, _ in inputs:
        oversight.of(input_)

    def feed(pipeline: Pipeline) -> None:
        broken.extend(pump_all(inputs, pipeline, stop, oversight.signs))

    code = 0
    if dry:
        dry_run(config, decode, metrics, feed)
    else:
        code = deliver(config, decode, metrics, feed, stop, drain_timeout, oversight)
    if tee is not None:
        tee.close()
    raise SystemExit(EXIT_FAILED if broken else code)


def with_status(config: Config, listen: str | None) -> Config:
    """The configuration with the status page at another address. Raises ConfigError for one that will not do."""
    if listen is None:
        return config
    try:
        return replace(config, status=status_at(listen, config.status.token if config.status else None))
    except ConfigError as error:
        raise ConfigError(f"--status {error.what}", fix=error.fix) from error


def _open_heard(item: InputConfig, surroundings: Surroundings, tee: Tee | None) -> Input:
    if tee is None:
        return open_input(item, surroundings)
    parts = urlsplit(item.url)
    # Not the whole URL: a capture is passed on, a password in it must not be.
    input_ = open_input(item, surroundings, tee.add(f"{parts.scheme}:{parts.path}", item.format))
    if not isinstance(input_, StreamInput):
        log.warning("--capture: input %s gives messages, not a stream of bytes; it is left out", input_.name)
    return input_


def pump_all(inputs: list[tuple[Input, Times]], pipeline: Pipeline, stop: Event, signs: Signs) -> list[Exception]:
    """One thread for each input, until all have ended or `stop` is set; returns what broke inputs off.

    Raises BrokenPipeError when nobody reads our output any more.
    """
    broken: list[Exception] = []
    threads = [
        Thread(target=_pump_safely, args=(input_, pipeline.taking(times), stop, signs, broken), name=input_.name)
        for input_, times in inputs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in broken:
        if isinstance(error, BrokenPipeError):
            raise error
    return broken


def _pump_safely(input_: Input, pipeline: Pipeline, stop: Event, signs: Signs, broken: list[Exception]) -> None:
    try:
        pump(input_, pipeline, stop, signs)
    except BrokenPipeError as error:
        broken.append(error)
        stop.set()
    except Exception as error:
        broken.append(error)
        log.exception("input %s: a defect; this input has stopped", input_.name)
    finally:
        input_.close()
