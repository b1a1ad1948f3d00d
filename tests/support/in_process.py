"""The command line inside the test's own process: quick, and with everything it prints."""

from __future__ import annotations

import re
from typing import NamedTuple

from click.testing import CliRunner

from lora_post.cli import EXIT_CONFIG, EXIT_FAILED, cli
from lora_post.errors import ConfigError, LoraPostError

NO_KEYS: dict[str, str | None] = {"LORA_POST_NWK_SKEY": None, "LORA_POST_APP_SKEY": None}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Ran(NamedTuple):
    """How a command ended. err: what it logged is not in it."""

    code: int
    out: str
    err: str


def lora_post(*arguments: object, stdin: bytes = b"", **env: str) -> Ran:
    """Run a command as `main` does, without a terminal."""
    found = CliRunner().invoke(cli, [str(argument) for argument in arguments], input=stdin, env=NO_KEYS | env)
    if isinstance(found.exception, LoraPostError):
        code = EXIT_CONFIG if isinstance(found.exception, ConfigError) else EXIT_FAILED
        return Ran(code, found.stdout, f"{found.stderr}Error: {found.exception}\n")
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return Ran(found.exit_code, found.stdout, found.stderr)


def harmless(text: str) -> bool:
    """Nothing in it that a terminal would obey, but for line ends and colours."""
    return all(line.isprintable() for line in COLOUR.sub("", text).split("\n"))
