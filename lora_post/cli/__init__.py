"""The command line: one command a file; a name that begins with `_` is not a command."""

from __future__ import annotations

import importlib
from typing import ClassVar

import click

from lora_post import __version__
from lora_post.errors import ConfigError, LoraPostError

EXIT_CONFIG = 2
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


class LazyGroup(click.Group):
    """The commands; `x` is `command` in the module lora_post.cli.x, imported when it is used."""

    modules: ClassVar[dict[str, str]] = {
        "init": "Write a configuration to start from.",
        "run": "Read radio frames and send their values to Waziup.",
        "replay": "Send captured frames through the same pipeline.",
        "capture": "Record what an input gives, to a file.",
        "simulate": "Make traffic as devices would.",
        "decode": "Explain one frame or payload.",
        "demo": "See it work: a capture into a local sandbox.",
        "sandbox": "Run a local server that behaves like Waziup Cloud.",
        "watch": "Show in the terminal what the status page shows.",
        "check": "Test the configuration, the server and the credentials.",
        "devices": "List, add and import devices, and try their keys.",
        "decoders": "List the device types that can be decoded, add one, test one.",
        "downlink": "Send something to a device, and see what became of it.",
        "explain": "Say what became of a downlink, and what it waits for.",
        "fleet": "Set up and look at a fleet: many gateways, shared devices.",
        "reload": "Have the running one read its configuration again.",
        "service": "Run it as a systemd service: print or install the units.",
        "spool": "Show, retry or drop what waits to be sent.",
        "import-lowcost": "Turn a LowCostLoRaGw installation into a configuration.",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.modules:
            return None
        command: click.Command = importlib.import_module(f"lora_post.cli.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self.modules.items()))


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lora-post")
def cli() -> None:
    """Post-processing for LoRa gateways: radio frames in, sensor values on Waziup Cloud.

    \b
    See it work:        lora-post demo
    Look at a frame:    lora-post decode 40035cab0100000002c53faad42929afbcd834bc63
    Try your set-up:    lora-post check -c lora-post.toml
    Run it:             stdbuf -oL lora_gateway | lora-post run -c lora-post.toml
    """


def main() -> None:
    """Run the command line; a mistake of the user is one line and an exit code."""
    try:
        cli()
    except KeyboardInterrupt:  # before a command has its own handler
        raise SystemExit(EXIT_INTERRUPTED) from None
    except ConfigError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(EXIT_CONFIG) from None
    except LoraPostError as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(EXIT_FAILED) from None
