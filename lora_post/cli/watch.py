"""`lora-post watch`"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from threading import Event, Thread
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from lora_post.cli._options import config_option
from lora_post.cli._output import complain
from lora_post.clocks.scale import now_us
from lora_post.config import examine_config, find_config
from lora_post.config.status import StatusConfig
from lora_post.errors import ConfigError
from lora_post.secret import Secret

if TYPE_CHECKING:
    from lora_post.terminal.client import StatusClient

EXIT_NO_ANSWER = 75  # EX_TEMPFAIL of sysexits.h: try again later
TOKEN_VARIABLE = "LORA_POST_STATUS_TOKEN"  # noqa: S105 - its name
MAX_TOKEN = 4096
REDRAW_S = 1.0
# Ages are told in minutes.
REFRESH_S = 20.0
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound here


@click.command(name="watch")
@config_option
@click.option("--url", metavar="URL", help="Of the status page, as http://127.0.0.1:8080; default: what [status] says.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"File with the page's token; else ${TOKEN_VARIABLE}, else what [status] says.",
)
@click.option("--once", is_flag=True, help="Print what there is and exit: 0 good, 1 needs attention, 75 no answer.")
def command(config_path: Path | None, url: str | None, token_file: Path | None, once: bool) -> None:
    """Show in the terminal what the status page shows, as it happens.

    The `lora-post run` on this machine must have a status page, by [status] in the configuration or by --status:

    \b
        lora-post run --status 127.0.0.1:8080
        lora-post watch --url http://127.0.0.1:8080
        lora-post watch --once || echo "needs attention"

    Space turns to the devices that do not fit; q or Ctrl-C ends it. Little is sent to the terminal, and no more
    than once a second; NO_COLOR=1 does without colours.
    """
    from lora_post.terminal.client import StatusClient

    address, token = _where(config_path, url)
    with closing(StatusClient(address, _token(token_file) or token)) as client:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="replace")  # a terminal that is not UTF-8
        if once:
            _print_once(client)
        if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
            raise click.UsageError("this is not a terminal that can be drawn on; use --once")
        _show(client)


def _where(config_path: Path | None, url: str | None) -> tuple[str, Secret | None]:
    """Return the page's address and token.

    The token of a configuration goes to an address of --url only when both are named.
    """
    if url is not None:
        if config_path is None:
            return url, None
        status = _status(config_path)
        return url, status.token if status else None
    path = config_path or find_config()
    status = _status(path)
    if status is None:
        raise ConfigError(
            f"{path} has no [status], so there may be nothing to watch",
            fix=(
                "start `lora-post run --status 127.0.0.1:8080`\n"
                "and `lora-post watch --url http://127.0.0.1:8080`, or add to the configuration:\n"
                '[status]\nlisten = "127.0.0.1:8080"'
            ),
        )
    host = ANY_ADDRESS.get(status.host, status.host)
    return f"http://[{host}]:{status.port}" if ":" in host else f"http://{host}:{status.port}", status.token


def _status(path: Path) -> StatusConfig | None:
    """Return the [status] of a configuration, whatever else is wrong in it."""
    config, mistakes = examine_config(path)
    if config is None or (config.status is None and mistakes):
        raise ConfigError("\n".join([*map(str, mistakes), "without it: lora-post watch --url http://127.0.0.1:8080"]))
    return config.status


def _token(path: Path | None) -> Secret | None:
    if path is None:
        text = os.environ.get(TOKEN_VARIABLE, "")
    else:
        try:
            with path.open(encoding="utf-8") as file:
                text = file.read(MAX_TOKEN)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--token-file {path}: {getattr(error, 'strerror', None) or 'is not text'}") from None
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isprintable()):
        raise ConfigError("the token for the status page has characters that no token has")
    return Secret(text)


def _print_once(client: StatusClient) -> NoReturn:
    from rich.console import Console

    from lora_post.terminal.client import NoAnswer
    from lora_post.terminal.follower import view_of
    from lora_post.terminal.layout import layout

    try:
        page = client.fetch()
    except NoAnswer as error:
        complain(f"{client.url} does not answer: {error}")
        raise SystemExit(EXIT_NO_ANSWER) from None
    console = Console(highlight=False, markup=False, emoji=False)
    for line in layout(view_of(page), _now_ms(), console.width, None):
        console.print(line, no_wrap=True)
    raise SystemExit(1 if page.verdict.kind == "bad" else 0)


def _show(client: StatusClient) -> None:
    from rich.console import Console

    from lora_post.terminal.follower import View, follow
    from lora_post.terminal.layout import layout
    from lora_post.terminal.screen import Screen, keys

    views = [View()]
    # What it waits for may take minutes; nothing is lost when it is cut off.
    Thread(target=follow, args=(client, lambda view: views.__setitem__(0, view), Event()), daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # a stopped process would leave the terminal as it is
    console = Console(highlight=False, markup=False, emoji=False)
    screen = Screen(console)
    with suppress(KeyboardInterrupt, EOFError), keys() as typed, console.screen(hide_cursor=True):
        drawn, drawn_at, turn, key = None, 0.0, 0, ""
        while key not in ("q", "Q"):
            turn += key == " "
            now, view = time.monotonic(), views[0]
            since = now - drawn_at
            wanted = (view, screen.size, turn)
            if key == " " or (wanted != drawn and since >= REDRAW_S) or since >= REFRESH_S:
                screen.draw(layout(view, _now_ms(), *screen.size, turn))
                drawn, drawn_at = wanted, now
            key = typed.wait(REDRAW_S)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _now_ms() -> int:
    return now_us() // 1000
