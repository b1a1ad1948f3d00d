"""Check the part that this lora-post has in a fleet: libraries, servers, key, streams."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from lora_post.config import Config
from lora_post.config.fleet import FleetConfig, Role
from lora_post.errors import SpoolError
from lora_post.net.hosts import is_this_machine
from lora_post.sinks.finding import Finding, fail, ok, skipped, warning
from lora_post.spool.spool_file import SpoolFile
from lora_post.text import pip_install, plural

if TYPE_CHECKING:
    from lora_post.fleet.home.owners import Owned
    from lora_post.fleet.hub.link import Link
    from lora_post.fleet.status import FleetStatus

SUBJECT: Final = "fleet"
CONNECT_S: Final = 10.0
MONITOR_S: Final = 2.0
_LIBRARIES: Final = ("nats", "nkeys")
_SERVER_FORMATS: Final = ("chirpstack", "ttn")


def check_fleet(config: Config, fleet: FleetConfig, *, offline: bool) -> Iterator[Finding]:
    """Yield what is found."""
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        yield fail(SUBJECT, f"{' and '.join(missing)} is not installed", pip_install("lora-post[fleet]"))
        return
    yield from _check_roles(config, fleet)
    if Role.HOME in fleet.roles:
        yield from _check_home(config)
    if offline:
        yield skipped(SUBJECT, "--offline")
        return
    from lora_post.fleet.hub.link import Link

    with closing(Link(fleet, config.gateway_id)) as link:
        if not link.wait(CONNECT_S):
            problem = link.trouble
            yield fail(SUBJECT, problem.what if problem else "no connection to the hub", problem.fix if problem else "")
            return
        version = link.client.connected_server_version
        yield ok(SUBJECT, f"the hub answers, nats-server {version.major}.{version.minor}.{version.patch}")
        if fleet.roles & {Role.WORKER, Role.UPLOADER}:
            yield from _check_streams(link, config, fleet)
    yield from _check_disks(fleet)


def _check_roles(config: Config, fleet: FleetConfig) -> Iterator[Finding]:
    if Role.GATEWAY in fleet.roles:
        for item in config.inputs:
            if item.format in _SERVER_FORMATS:
                yield fail(
                    SUBJECT,
                    f"input {item.url}: a gateway of a fleet passes frames on, and these are decrypted already",
                    "have a lora-post without [fleet] read this input",
                )
    if fleet.roles == {Role.GATEWAY} and config.devices:
        yield warning(
            SUBJECT,
            f"a gateway needs no devices, and here are {plural(len(config.devices), 'device')} with their keys",
            "remove them: who steals the gateway has their keys",
        )
    if Role.WORKER in fleet.roles and not config.devices:
        yield fail(SUBJECT, "a worker without devices accepts nothing", "add them, the same on all workers")
    if Role.HOME in fleet.roles and not config.devices:
        yield fail(
            SUBJECT,
            "a home gateway without devices decides about nothing",
            f'add its own, with home = "{config.gateway_id}"',
        )
    if Role.HOME in fleet.roles and config.network is None:
        yield warning(SUBJECT, "there is no [network]: this home gateway answers nothing", "add [network]")


def _check_streams(link: Link, config: Config, fleet: FleetConfig) -> Iterator[Finding]:
    from lora_post.fleet.errors import FleetError
    from lora_post.fleet.log.streams import LOG

    try:
        cluster = link.call(link.client.jetstream().stream_info(LOG))
        status = _look(link, config)
    except FleetError as error:
        if "not found" in error.what:
            yield ok(SUBJECT, "the hub is empty: the first worker will make what is needed")
        else:
            yield fail(SUBJECT, error.what, "are the servers of the hub running, more than half of them?")
        return
    if cluster.config.num_replicas != fleet.replicas:
        yield warning(
            SUBJECT,
            f"the log is kept on {plural(cluster.config.num_replicas, 'server')}, and replicas is {fleet.replicas}",
            f"nats stream edit {LOG} --replicas {fleet.replicas}",
        )
    peers = (cluster.cluster.replicas or []) if cluster.cluster else []
    away = [str(peer.name) for peer in peers if peer.offline or not peer.current]
    if away:
        yield warning(SUBJECT, f"servers without the newest entries: {', '.join(away)}", "are they running?")
    yield ok(SUBJECT, f"{plural(len(status.gateways), 'gateway')}, {plural(status.entries, 'entry')} in the log")
    known = {state.gateway for state in status.gateways}
    strange = sorted({device.home for device in config.devices if device.home} - known)
    if strange:
        yield warning(SUBJECT, f"home gateways that were never here: {', '.join(strange)}", "is it their [gateway] id?")
    yield from _tell_owners(status.owned)
    if "" in status.holders:
        yield warning(SUBJECT, "nobody works on some partitions", "start a worker: lora-post run")


def _check_home(config: Config) -> Iterator[Finding]:
    from lora_post.fleet.errors import FleetError
    from lora_post.fleet.home.book import owners_at_home

    try:
        yield from _tell_owners(owners_at_home(config.spool_path))
    except FleetError as error:
        yield fail(SUBJECT, error.what, "see that lora-post may read and write the file")


def _look(link: Link, config: Config) -> FleetStatus:
    from lora_post.fleet.status import look

    if config.spool_path.exists():
        with suppress(SpoolError), closing(SpoolFile(config.spool_path)) as spool_file:  # told of by its own check
            return look(link, spool_file)
    return look(link)


def _tell_owners(owned: Sequence[Owned]) -> Iterator[Finding]:
    """Yield who decides about devices that have a home gateway."""
    from lora_post.fleet.home.owners import owner_lines

    for line in owner_lines([each for each in owned if not each.is_stand_in]):
        yield ok(SUBJECT, line)
    for line in owner_lines([each for each in owned if each.is_stand_in]):
        yield warning(SUBJECT, line, "see to the link of that gateway: it takes them back as soon as it has one")


def _check_disks(fleet: FleetConfig) -> Iterator[Finding]:
    """Look whether a server on this machine writes down what it acknowledges; it tells that to this machine only."""
    from lora_post.fleet.hub_files import CLUSTER, PORT

    for server in fleet.servers:
        address = urlsplit(server)
        if not is_this_machine(address.hostname or ""):
            continue
        try:
            where = f"http://127.0.0.1:{(address.port or PORT) + 2 * CLUSTER}/varz"
            with urlopen(where, timeout=MONITOR_S) as answer:
                settings = json.load(answer).get("jetstream", {}).get("config", {})
        except (URLError, OSError, ValueError):
            continue
        if not settings.get("sync_always"):
            yield fail(
                SUBJECT,
                f"{server}: what it acknowledges can be lost with power for two minutes",
                "write `sync_interval: always` into its jetstream { … }, and restart it",
            )
