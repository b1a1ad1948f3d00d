"""`lora-post check`"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from lora_post.checks.broker import check_broker
from lora_post.checks.local_file import check_json_lines
from lora_post.checks.machine import check_power, check_time
from lora_post.checks.server import check_server, skip_server
from lora_post.checks.setup import check_configuration, check_decoders, check_inputs, check_keys, skip_setup
from lora_post.checks.storage import check_spool
from lora_post.checks.wazigate import check_wazigate
from lora_post.cli.options import config_option, load_all_decoders
from lora_post.cli.output import say
from lora_post.clocks.system import SystemClock
from lora_post.config import Config, examine_config, find_config
from lora_post.errors import ConfigError, Trouble
from lora_post.finding import Finding, Grade, fail, skipped
from lora_post.formats import FORMATS
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
    """Everything that can be said, also when the first thing is wrong."""
    config: Config | None = None
    mistakes: tuple[Trouble, ...] = ()
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
    yield from check_keys(config)
    yield from check_inputs(config, FORMATS)
    yield from check_spool(config)
    if offline:
        yield from skip_server("--offline")
    elif config.waziup is not None:
        gateway_id = None if any(" [gateway]" in mistake.what for mistake in mistakes) else config.gateway_id
        yield from check_server(config.waziup, gateway_id)
        if config.waziup.broker is not None:
            yield check_broker("server", "[waziup] mqtt_url", config.waziup.broker, config.gateway_id)
    elif mistakes:
        yield from skip_server("[waziup] cannot be read")
    elif not config.destinations:
        yield fail("server", "there is no [waziup], so there is nowhere to send to", "add [waziup] url and username")
    if config.wazigate is not None:
        yield from [skipped("wazigate", "--offline")] if offline else check_wazigate(config.wazigate)
    if config.mqtt is not None:
        yield (
            skipped("mqtt", "--offline")
            if offline
            else check_broker("mqtt", "[mqtt] url", config.mqtt.broker, config.gateway_id)
        )
    if config.json_lines is not None:
        yield check_json_lines(config.json_lines)


def _show(finding: Finding) -> None:
    verdict = click.style(f"{finding.verdict:<8}", fg=COLOURS[finding.verdict])
    click.echo(f"{verdict} {printable(f'{finding.subject:<14} {finding.text}')}")
    if finding.fix:
        say(f"{'':<24}fix: {finding.fix}")
