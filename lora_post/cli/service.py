"""`lora-post service print` and `install`"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import click

from lora_post.cli._log import set_up_log
from lora_post.cli._options import config_option
from lora_post.config import Config, find_config, load_config
from lora_post.errors import ConfigError
from lora_post.service.install import (
    UNIT_FOLDER,
    InstallError,
    install_units,
    let_read,
    make_user,
    secret_files,
    secret_variables,
    write_units,
)
from lora_post.service.units import RADIO, SERVICE, USER, Place, hidden, inside, outside_folders, radio_program, units
from lora_post.text import printable

radio_argument = click.argument("radio", nargs=-1, metavar="[-- PROGRAM ARGS…]")


@click.group(name="service")
def command() -> None:
    """Run lora-post as a systemd service.

    \b
        sudo lora-post service install --now
        sudo lora-post service install --now -- /opt/lora_gateway/lora_gateway --raw
    """


@command.command(name="print")
@config_option
@radio_argument
def print_units(config_path: Path | None, radio: tuple[str, ...]) -> None:
    """Print the units for this configuration, and write nothing.

    PROGRAM is the radio program whose output is read, where the configuration reads stdin; the whole path.
    """
    path = (config_path or find_config()).absolute()
    config = load_config(path)
    place = Place(_own_command(), path)
    for name, text in units(config, place, radio).items():
        click.echo(f"# /etc/systemd/system/{name}\n{text}")
    for line in hidden(config, place, radio):
        click.echo(f"Warning: {line}", err=True)


@command.command(name="install")
@config_option
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default="/",
    help="Install into the system below this folder, an SD card's for example.",
)
@click.option("--force", is_flag=True, help="Also over units that were changed by hand.")
@click.option("--now", is_flag=True, help="Also start it, now and at each boot.")
@radio_argument
def install(config_path: Path | None, root: Path, force: bool, now: bool, radio: tuple[str, ...]) -> None:
    """Install the units for this configuration, and the user that they run as.

    PROGRAM is the radio program whose output is read, where the configuration reads stdin; the whole path:

    \b
        sudo lora-post service install --now -- /opt/lora_gateway/lora_gateway --raw

    The configuration and the files with its secrets become readable for the group lora-post, and stay closed to
    others. It may be repeated, after each change of the [[input]]s and each upgrade; without PROGRAM the radio program
    stays the one that is installed.
    """
    set_up_log(verbose=False, quiet=False)
    root = root.resolve()
    if now and root != Path("/"):
        raise ConfigError("--now starts it on this machine", fix="leave it out together with --root")
    path = (config_path or find_config()).resolve()
    config = load_config(path)
    place = Place(inside(_own_command(), root), inside(path, root), root)
    radio = radio or _radio_of_before(config, root)
    made = units(config, place, radio)
    unseen = hidden(config, place, radio)
    if unseen:
        raise ConfigError("\n".join(unseen))
    written = write_units(made, root) if force else install_units(made, root)
    group = make_user(root)
    for file in secret_files(path):
        let_read(file, group)
    for file in written:
        click.echo(f"wrote {file}")
    for folder in outside_folders(config, place):
        click.echo(f"it writes in {folder}: see that user {USER} may")
    for name in secret_variables(path):
        click.echo(f"it needs the variable {name}: systemctl edit {SERVICE}, Environment=; or use a file instead")
    _start(now, root)


def _radio_of_before(config: Config, root: Path) -> tuple[str, ...]:
    """Return the radio program of the unit that is installed, where the configuration still reads one."""
    unit = root / UNIT_FOLDER / RADIO
    if not unit.is_file() or not any(item.url.startswith("stdin:") for item in config.inputs):
        return ()
    program = radio_program(unit.read_text("utf-8", "replace"))
    if program:
        click.echo(f"keeps the radio program {printable(shlex.join(program))}")
    return program


def _start(now: bool, root: Path) -> None:
    if root != Path("/"):
        click.echo(f"to start it at each boot: systemctl --root={shlex.quote(str(root))} enable {SERVICE}")
        return
    for words in (["systemctl", "daemon-reload"], ["systemctl", "enable", "--now", SERVICE]):
        if not now:
            click.echo(f"next: sudo {' '.join(words)}")
        elif subprocess.run(words, check=False).returncode:  # noqa: S603 - no shell, words of our own
            raise InstallError(f"{' '.join(words)} has failed", fix=f"see: journalctl -u {SERVICE}")


def _own_command() -> Path:
    """Return the path of the installed lora-post, without following links."""
    return Path(sys.executable).parent / "lora-post"
