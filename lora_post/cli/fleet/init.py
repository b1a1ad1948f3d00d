"""`lora-post fleet init`"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from lora_post.cli._output import say
from lora_post.cli.fleet._hub import not_installed
from lora_post.errors import ConfigError
from lora_post.waziup.names import MAX_ID, to_id


@click.command(name="init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--hub", "hubs", multiple=True, required=True, metavar="HOST[:PORT]", help="A server; give three.")
@click.option("--gateway", "gateways", multiple=True, metavar="ID", help="A gateway, by its id on Waziup.")
@click.option(
    "--home", "homes", multiple=True, metavar="ID=DEVICE", help="A home gateway and one of its devices; once for each."
)
@click.option("--worker", "workers", multiple=True, metavar="ID", help="A machine that decodes or uploads.")
def command(
    folder: Path, hubs: tuple[str, ...], gateways: tuple[str, ...], homes: tuple[str, ...], workers: tuple[str, ...]
) -> None:
    """Write what the machines of a fleet need to FOLDER: servers, certificates, keys, configurations.

    \b
        lora-post fleet init fleet --hub hub1.example.org --hub hub2.example.org --hub hub3.example.org
            --gateway north-1 --gateway north-2 --worker desk

    Run it again with more gateways and workers to add them; keys and configurations that are there stay. The
    folder has all keys: keep it where only you can read it, and copy to each machine its own part alone.
    """
    try:
        from lora_post.fleet.hub_files import Hub, write_fleet
    except ModuleNotFoundError as error:
        raise not_installed(error) from error
    try:
        servers = [Hub.of(text) for text in hubs]
    except ValueError as error:
        raise ConfigError(f"--hub: {error}", fix="write HOST or HOST:PORT") from error
    if len(servers) == 2:
        raise ConfigError(
            "two servers are no safer than one: neither goes on alone", fix="give three, or one for a trial"
        )
    by_home = _by_home(homes)
    _check_ids("--gateway", gateways)
    _check_ids("--worker", workers)
    for gateway, devices in by_home.items():
        _check_ids("--home", [gateway, *devices])
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = write_fleet(folder, servers, gateways, workers, by_home)
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror or error}") from error
    for path in dict.fromkeys(written):
        say(f"wrote {path}")
    say("")
    if len(servers) == 1:
        say("One server is for a trial: when it is gone, gateways keep their frames, and nothing is decoded.")
    say("On each server: copy its folder to /var/lib/lora-post-hub, its nats-server.service to /etc/systemd/system;")
    say("  then `sudo systemctl enable --now nats-server`. Where that runs already: copy accounts.conf alone,")
    say("  then `sudo systemctl reload nats-server`.")
    say("On each gateway and worker: copy its folder there, fill in lora-post.toml, then `lora-post check`.")


def _by_home(homes: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in homes:
        gateway, sign, device = text.partition("=")
        if not (gateway and sign and device):
            raise ConfigError(f"--home {text!r}", fix="write --home GATEWAY=DEVICE, once for each device")
        found.setdefault(gateway, []).append(device)
    return found


def _check_ids(option: str, ids: Sequence[str]) -> None:
    """Raise ConfigError for an id that no configuration takes, or that is a step in a path."""
    for each in ids:
        if to_id(each) != each:
            raise ConfigError(f"{option} {each!r}", fix=f"write 1 to {MAX_ID} letters, digits, '_', '-' and '.'")
