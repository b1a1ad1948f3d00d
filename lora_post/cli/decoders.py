"""`lora-post decoders`"""

from __future__ import annotations

from pathlib import Path

import click

from lora_post.cli.options import config_option, load_all_decoders, log, optional_config, set_up_log
from lora_post.cli.output import print_table
from lora_post.decoding import shipped_folder
from lora_post.model import Decoder

HEADERS = ("Name", "Vendor", "Model", "From", "Examples", "Source")


@click.command(name="decoders")
@config_option
def command(config_path: Path | None) -> None:
    """List the device types that can be decoded.

    The name is what a [[device]] gives as its decoder. Those of the configured folder are listed too,
    and go before shipped ones of the same name:

    \b
        lora-post decoders
        lora-post decoders -c lora-post.toml

    To add a device type, put a Python file into the folder that [decoders] names; any shipped file is a
    model for it. A file that cannot be loaded is reported on stderr.
    """
    set_up_log(verbose=False, quiet=True)
    loaded = load_all_decoders(optional_config(config_path))
    print_table(HEADERS, [_row(decoder) for _, decoder in sorted(loaded.decoders.items())])
    for problem in loaded.problems:
        log.warning("decoder skipped: %s", problem)


def _row(decoder: Decoder) -> tuple[str, ...]:
    shipped = Path(decoder.origin).parent == shipped_folder()
    count = len(decoder.examples)
    examples = f"{count} example" if count == 1 else f"{count} examples"
    origin = "shipped" if shipped else decoder.origin
    return decoder.name, decoder.vendor, decoder.model, origin, examples, decoder.source
