"""`lora-post reload`"""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import click
import msgspec

from lora_post.cli import EXIT_FAILED
from lora_post.cli._options import config_option, existing_spool
from lora_post.cli._output import complain, say
from lora_post.config import find_config, load_what_works
from lora_post.errors import ConfigError
from lora_post.run.reload import SEEN, SUBJECT, Seen, stamps_of
from lora_post.spool.facts import Facts
from lora_post.spool.spool_file import SpoolFile
from lora_post.text import plural

PATIENCE_S: Final = 10.0
POLL_S: Final = 0.2


@click.command(name="reload")
@config_option
def command(config_path: Path | None) -> None:
    """Have the running lora-post read its devices, decoders and rules of sensors again.

    A change of the files is taken over by itself within two seconds. This says what became of it, and reads also what
    the configuration names, such as files with keys:

    \b
        sudo lora-post reload

    A file with a mistake leaves everything as it is. A [[device]] with a mistake is left out, the others go on. What
    needs a restart is in the log. Exit code 0, or 1 when there are mistakes or nothing is running.
    """
    path = (config_path or find_config()).absolute()
    config = load_what_works(path)
    spool = existing_spool(config)
    try:
        os.utime(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", fix="run it with sudo") from error
    seen = _wait(path, spool)
    if seen is None:
        complain(f"nothing has read {path} in {PATIENCE_S:g} s; fix: is `lora-post run` running with this file?")
        raise SystemExit(EXIT_FAILED)
    say(f"in use    {plural(seen.devices, 'device')}")
    for problem in seen.problems:
        complain(f"not used  {problem}")
    raise SystemExit(EXIT_FAILED if seen.problems else 0)


def _wait(path: Path, spool: Path) -> Seen | None:
    """Wait until the run has read the files as they are now; None when it does not."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with closing(SpoolFile(spool)) as spool_file:
            text = Facts(spool_file, SUBJECT).recall().get(SEEN)
        seen = msgspec.json.decode(text, type=Seen) if text else None
        if seen is not None and seen.stamps == stamps_of(path):
            return seen
        time.sleep(POLL_S)
    return None
