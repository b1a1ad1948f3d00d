"""`lora-post import-lowcost`"""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from lora_post.cli import EXIT_FAILED
from lora_post.cli._output import complain, say, write_new
from lora_post.config import parse_config
from lora_post.config.starter import own_gateway_id
from lora_post.errors import ConfigError
from lora_post.migrate.lowcost_installation import Address, read_heard, read_site
from lora_post.migrate.lowcost_toml import import_site
from lora_post.text import plural, printable


@click.command(name="import-lowcost")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it there, for its owner's eyes only; nothing is overwritten. Default: stdout.",
)
@click.option(
    "--log",
    "logs",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A log of the old program, or its radio program's output: who is heard there becomes a device. Repeatable.",
)
def command(folder: Path, output: Path | None, logs: tuple[Path, ...]) -> None:
    """Turn a LowCostLoRaGw installation into a lora-post.toml.

    DIR holds gateway_conf.json, clouds.json and key_WAZIUP.py; they are read, nothing in them is executed.
    Devices and sensors keep their names on Waziup, so that dashboards go on. Which devices there are is taken
    from source_list, from the tables of keys, and from the logs given:

    \b
        lora-post import-lowcost ~/lora_gateway --log ~/Dropbox/LoRa-test/post-processing.log -o lora-post.toml

    What could not be carried over is listed on stderr and at the top of the file. Exit code 0, or 1 when the
    result has mistakes that must be corrected by hand.
    """
    site = read_site(folder)
    heard: dict[Address, int] = {}
    for log in logs:
        try:
            with log.open("rb") as stream:
                for address, kinds in read_heard(stream).items():
                    heard[address] = heard.get(address, 0) | kinds
        except OSError as error:
            raise ConfigError(f"{log}: {error.strerror}") from error
    made = import_site(site, heard, own_gateway_id())
    if output is None:
        click.echo(made.text, nl=False)
    else:
        write_new(output, made.text, mode=0o600)
        say(f"written   {output}, {plural(made.devices, 'device')}")
        say(f"check     lora-post check -c {quote(str(output))}")
    for line in made.left_out:
        click.echo(printable(f"not carried over: {line}"), err=True)
    try:
        parse_config(made.text, output or Path("lora-post.toml"), {})
    except ConfigError as error:
        for mistake in str(error).splitlines():
            complain(f"correct by hand: {mistake}")
        raise SystemExit(EXIT_FAILED) from None
