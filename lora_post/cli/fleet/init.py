"""`lora-post fleet init`"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from lora_post.cli._output import say
from lora_post.cli.fleet._hub import not_installed
from lora_post.errors import ConfigError


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
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = write_fleet(folder, servers, gateways, workers, _by_home(homes))
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror or error}") from error
    for path in dict.fromkeys(written):
        say(f"wrote {path}")
    say("")
    if len(servers) == 1:
        say("One server is for a trial: when it is gone, gateways keep their frames, and nothing is decoded.")
    say("On each server: copy its folder to /var/lib/lora-post-hub, and start the nats-server.service in it;")
    say("  where it runs: copy accounts.conf alone, then `systemctl reload nats-server`.")
    say("On each gateway and worker: copy its folder there, fill in lora-post.toml, then `lora-post check`.")


def _by_home(homes: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in homes:
        gateway, sign, device = text.partition("=")
        if not (gateway and sign and device):
            raise ConfigError(f"--home {text!r}", fix="write --home GATEWAY=DEVICE, once for each device")
        found.setdefault(gateway, []).append(device)
    return found
