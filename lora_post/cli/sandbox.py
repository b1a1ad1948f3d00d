"""`lora-post sandbox`"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from lora_post.net.hosts import is_this_machine
from lora_post.sandbox.access import GUEST
from lora_post.sandbox.endpoint import Settings
from lora_post.sandbox.errors import ErrorAnswer
from lora_post.sandbox.faults import KINDS, Kind, RandomFaults, read_rates
from lora_post.sandbox.rules import check_text
from lora_post.sandbox.server import API_PATH, serve

DEFAULT_USERS = ("demo:demo", "admin:admin")


def _usage(kind: Kind) -> str:
    return f"{kind.name if kind.number is None else f'{kind.name}={kind.number:g}':<12}"


@click.command(name="sandbox", short_help="Run a local server that answers like Waziup Cloud.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8008,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep everything in this file, so that the next start finds it. Without it, all is gone at the end.",
)
@click.option(
    "--user",
    "users",
    metavar="NAME:PASSWORD",
    multiple=True,
    default=DEFAULT_USERS,
    show_default=True,
    help="A user who can log in; may be given several times. The user called admin may do everything.",
)
@click.option(
    "--token-lifetime",
    type=click.IntRange(1),
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="How long a login lasts.",
)
@click.option(
    "--faults",
    "fault_spec",
    metavar="SPEC",
    help="What goes wrong: random, or KIND[=N][@PERCENT] separated by commas; see below.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Other faults with the same --faults.")
@click.option(
    "--legacy-health",
    is_flag=True,
    help="Take heartbeats at /gateways/ID/health and not at /heartbeat, like servers before October 2019.",
)
def command(
    host: str,
    port: int,
    file: Path | None,
    users: Sequence[str],
    token_lifetime: int,
    fault_spec: str | None,
    seed: int,
    legacy_health: bool,
) -> None:
    """Run a local server that answers like Waziup Cloud.

    Use it to try a configuration without touching the cloud: gateways, devices and values arrive here
    as they would there, with the same answers to the same mistakes. Nothing leaves this machine.

    \b
    1. Start it, and leave it running:
         lora-post sandbox
    2. In the configuration of lora-post, point the upload at it:
         [waziup]
         url = "http://127.0.0.1:8008/api/v2"
       and name one of the users below, with the password.
    3. Open http://127.0.0.1:8008/ in a browser and watch the values arrive.

    There are two users, demo and admin, unless --user names others; their passwords are demo and
    admin. Ctrl-C ends the sandbox.

    With --faults it has bad days: 5 of 100 requests, or as many as @PERCENT says, go wrong in that way.

    \b
         lora-post sandbox --faults random
         lora-post sandbox --faults drop-after@20,503=30@10,slow=2000@50

    \b
    FAULTS
    """
    known = _users(users)
    faults = _faults(fault_spec, seed)
    if not is_this_machine(host):
        click.echo(
            f"Warning: {host} can be reached from other machines. The sandbox has no encryption, and its\n"
            "passwords are on the command line. The page stays closed to other machines.",
            err=True,
        )

    def announce(base: str) -> None:
        click.echo("The sandbox is running; Ctrl-C ends it.")
        click.echo(f"  API    {base}{API_PATH}")
        click.echo(f"  page   {base}/")
        click.echo(f"  users  {', '.join(f'{name} (password {known[name]})' for name in known)}")
        if fault_spec is not None:
            click.echo(f"  faults {fault_spec}, seed {seed}")
        click.echo(f"  kept   {'in memory, gone at the end' if file is None else f'in {file}'}")

    settings = Settings(users=known, token_lifetime_s=token_lifetime, legacy_health=legacy_health)
    try:
        serve(settings, file=file, host=host, port=port, announce=announce, faults=faults)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host} port {port}: {error.strerror or error}") from error


command.help = (command.help or "").replace(
    "FAULTS", "\n    ".join(f"{_usage(kind)} {kind.explains}" for kind in KINDS)
)


def _faults(spec: str | None, seed: int) -> RandomFaults | None:
    """Read --faults. Raises BadParameter."""
    if spec is None:
        return None
    try:
        return RandomFaults(read_rates(spec), seed)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--faults") from None


def _users(texts: Sequence[str]) -> Mapping[str, str]:
    """Return passwords by name. Raises BadParameter."""
    users: dict[str, str] = {}
    for text in texts:
        name, colon, password = text.partition(":")
        if not colon or not name or not password:
            raise click.BadParameter("want NAME:PASSWORD", param_hint="--user")
        if name == GUEST:
            raise click.BadParameter(f"{GUEST} is everybody who does not log in", param_hint="--user")
        try:
            check_text(name)
        except ErrorAnswer:
            raise click.BadParameter("a name may not contain < > \" ' = ; ( )", param_hint="--user") from None
        users[name] = password
    return users
