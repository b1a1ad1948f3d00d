"""`lora-post check`"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from msgspec.structs import replace

from lora_post.checks.disk import is_there
from lora_post.checks.machine import check_power, check_time
from lora_post.checks.setup import (
    check_configuration,
    check_decoders,
    check_inputs,
    check_keys,
    check_status_page,
    skip_setup,
)
from lora_post.checks.storage import check_spool
from lora_post.checks.way_back import check_way_back
from lora_post.cli._options import config_option, load_all_decoders
from lora_post.cli._output import say
from lora_post.clocks.system import SystemClock
from lora_post.config import Config, examine_config, find_config
from lora_post.config.fleet import Role
from lora_post.errors import ConfigError, Problem
from lora_post.sinks import SINKS
from lora_post.sinks.destination import NeededFile
from lora_post.sinks.finding import Finding, Grade, fail, ok, skipped
from lora_post.text import printable

COLOURS = {Grade.OK: "green", Grade.WARNING: "yellow", Grade.FAIL: "red", Grade.SKIPPED: "bright_black"}


@click.command(name="check")
@config_option
@click.option("--offline", is_flag=True, help="Leave out everything that needs the server.")
def command(config_path: Path | None, offline: bool) -> None:
    """Test the configuration, the machine, the server and the credentials.

    Prints a verdict for each part, and below each that is not ok what to do about it:

    \b
        lora-post check -c lora-post.toml
        lora-post check --offline

    Nothing is created or changed, neither here nor on the server, and it may run beside `lora-post run`.
    Exit code 0 when there is no FAIL, else 1.
    """
    failed = False
    for finding in _findings(config_path, offline):
        _show(finding)
        failed |= finding.verdict is Grade.FAIL
    raise SystemExit(1 if failed else 0)


def _findings(path: Path | None, offline: bool) -> Iterator[Finding]:
    """Yield all findings, also when the configuration has mistakes."""
    config: Config | None = None
    mistakes: tuple[Problem, ...] = ()
    try:
        path = path or find_config()
    except ConfigError as error:
        yield fail("configuration", error.what, error.fix)
    else:
        config, mistakes = examine_config(path)
        yield from check_configuration(path, config, mistakes)
    yield from check_time(SystemClock())
    yield from check_power()
    yield from check_decoders(config.devices if config else (), load_all_decoders(config))
    if config is None:
        yield from skip_setup("there is no configuration to go by")
        return
    if config.fleet is None or config.fleet.roles & {Role.WORKER, Role.HOME}:  # nobody else opens frames
        yield from check_keys(config)
    yield from check_inputs(config)
    yield from check_way_back(config)
    yield from check_status_page(config.status)
    yield from check_spool(config)
    if config.fleet:
        from lora_post.checks.fleet import check_fleet  # only where one is configured

        yield from check_fleet(config, config.fleet, offline=offline)
    if config.fleet is None or Role.UPLOADER in config.fleet.roles:
        yield from _check_destinations(config, mistakes, offline)


def _check_destinations(config: Config, mistakes: tuple[Problem, ...], offline: bool) -> Iterator[Finding]:
    site = replace(config.site, gateway_id="") if _mentioned("gateway", mistakes) else config.site
    for name, destination in SINKS.items():
        if name not in config.destinations:
            if _mentioned(name, mistakes):
                yield from (skipped(subject, f"[{name}] cannot be read") for subject in destination.remote or (name,))
        elif offline and destination.remote:
            yield from (skipped(subject, "--offline") for subject in destination.remote)
        elif coming := _made_by_run(destination.files(config.destinations[name]), config.spool_path):
            yield ok(name, f"{coming} is not there yet, and will be made by the first `lora-post run`")
        else:
            yield from destination.check(config.destinations[name], site)
    if not config.destinations and not mistakes:
        tables = ", ".join(f"[{name}]" for name in SINKS)
        yield fail("server", "there is nowhere to send to", f"add one of {tables}")


def _made_by_run(files: Sequence[NeededFile], spool: Path) -> Path | None:
    """Return the file of a destination whose folder is made together with the spool; None where it is there, or else.

    What is wrong with that folder is a finding about the spool.
    """
    made = [folder for folder in spool.absolute().parents if not is_there(folder)]
    return next((file.path for file in files if file.is_written and file.path.absolute().parent in made), None)


def _mentioned(table: str, mistakes: tuple[Problem, ...]) -> bool:
    return any(f" [{table}]" in mistake.what for mistake in mistakes)


def _show(finding: Finding) -> None:
    verdict = click.style(f"{finding.verdict:<8}", fg=COLOURS[finding.verdict])
    click.echo(f"{verdict} {printable(f'{finding.subject:<14} {finding.text}')}")
    if finding.fix:
        say(f"{'':<24}fix: {finding.fix}")
