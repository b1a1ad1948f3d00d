"""`lora-post init`"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from shlex import quote
from typing import Final

import click

from lora_post.cli._output import say, write_new
from lora_post.config import parse_config
from lora_post.config.starter import SECRET_FILE, Start, own_gateway_id, starting_config
from lora_post.errors import ConfigError
from lora_post.formats import FORMATS

SYSTEM: Final = Path("/etc/lora-post/lora-post.toml")
READINGS: Final = "/var/lib/lora-post/readings.jsonl"


@click.command(name="init")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--gateway-id", help="The gateway's id on Waziup. Default: made of this machine's network address.")
@click.option("--name", help="What people call it. Default: this machine's name.")
@click.option("--username", default="", help="Your account of Waziup Cloud; the password is asked for.")
@click.option("--url", default="udp://127.0.0.1:1700", show_default=True, help="Where frames come from.")
@click.option(
    "--format", "format_name", type=click.Choice(["auto", *FORMATS]), help="Default: lowcost, or what url tells."
)
def command(
    file: Path | None, gateway_id: str | None, name: str | None, username: str, url: str, format_name: str | None
) -> None:
    """Write a configuration that works as it is, with an id of this machine.

    FILE is /etc/lora-post/lora-post.toml for root, else lora-post.toml in this folder, where the spool is then too.
    Nothing is overwritten.

    \b
        lora-post init
        lora-post init --username me
        lora-post init --url serial:///dev/ttyUSB0?baud=38400 --format lowcost

    Without an account, readings go to a file; add [waziup] later. The password of an account is asked for, or read
    from stdin when that is no terminal.
    """
    is_root = os.geteuid() == 0
    path = file or (SYSTEM if is_root else Path("lora-post.toml"))
    for_service = path.absolute() == SYSTEM
    start = Start(
        gateway_id=gateway_id or own_gateway_id(),
        name=name or socket.gethostname() or "Gateway",
        url=url,
        format=format_name or ("lowcost" if url.startswith(("stdin:", "serial:")) else ""),
        username=username,
        spool="" if for_service else "spool.db",
        readings=READINGS if for_service else "readings.jsonl",
    )
    check = f"lora-post check -c {quote(str(path))}"
    text = starting_config(start, f"sudo {check}" if for_service else check)
    # A mistake in an option is named before anything is written.
    parse_config(text.replace(f'password_file = "{SECRET_FILE}"', 'password = "of the account"'), path, {})
    _make_folder(path.parent)
    if path.exists():
        raise ConfigError(f"{path} is there already", fix="change it, or move it away first")
    if username:
        write_new(path.parent / SECRET_FILE, f"{_password(username)}\n", mode=0o600)
    write_new(path, text, mode=0o640)
    say(f"written   {path}: gateway {start.gateway_id}")
    say(f"check     {check}")


def _password(username: str) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(f"Password of {username}", hide_input=True))
    password = sys.stdin.readline().strip()
    if not password:
        raise ConfigError(f"no password of {username} on stdin", fix="give it there, or run this in a terminal")
    return password


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", fix="run it with sudo, or name a file of yours") from error
