"""Check the server and the account there; nothing is created or changed.

Source: Waziup/wazicloud-api: src/Waziup/{Auth,Users,Gateways}.hs.
"""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from email.utils import parsedate_to_datetime
from itertools import islice
from shlex import quote
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
import requests

from lora_post.clocks.scale import now_us
from lora_post.errors import Problem, SinkError, Unavailable
from lora_post.net.http_client import Answer
from lora_post.sinks.destination import Site
from lora_post.sinks.finding import Finding, Grade, fail, ok, skipped, warning
from lora_post.sinks.tls import check_tls
from lora_post.sinks.waziup import WaziupConfig
from lora_post.sinks.waziup.client import RemoteDevice, RemoteGateway, RemoteUser, WaziupClient
from lora_post.sinks.waziup.commands import Commands
from lora_post.sinks.waziup.ownership import (
    GUEST,
    other_device,
    other_gateway,
    other_private_device,
    other_private_gateway,
)
from lora_post.sinks.waziup.visibility import wrong_device, wrong_gateway
from lora_post.times import WallUs
from lora_post.waziup.names import to_text

CONNECT_TIMEOUT_S = 10.0
MAX_CLOCK_ERROR_S = 60
QUARTER_HOUR_S = 900
ZONE_QUARTERS = range(2, 57)
NO_SUCH_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
AFTER_SERVER = ("credentials", "clock", "gateway")
MAX_DEVICES = 200

T = TypeVar("T")


def check_server(waziup: WaziupConfig, site: Site) -> Iterator[Finding]:
    """Test name, connection, encryption, API, clock, account and gateway, in this order."""
    way = _check_way(waziup.url)
    yield way
    if way.verdict is Grade.FAIL:
        yield from _skip("the server cannot be reached", AFTER_SERVER)
        return
    with closing(WaziupClient(waziup.url)) as client:
        try:
            answer = client.get_me()
        except SinkError as error:
            yield _no_answer(waziup.url, error)
            yield from _skip("the server cannot be reached", AFTER_SERVER)
            return
        yield from _check_api(waziup.url, answer)
        yield check_clock(answer.date, now_us())
        if _read(answer, RemoteUser) is None:
            yield from _skip("this is not a Waziup API", ("credentials", "gateway"))
            return
        try:
            yield from _check_account(client, waziup, site)
        except SinkError as error:
            yield fail("server", error.what, error.fix or "try again; the server answered a moment ago")


def _skip(why: str, subjects: tuple[str, ...]) -> Iterator[Finding]:
    for subject in subjects:
        yield skipped(subject, why)


def _check_way(url: str) -> Finding:
    """Test DNS and TCP; a proxy that the environment names does both for us."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        return fail("server", f"{url!r}: {error}", "correct [waziup] url")
    proxies = requests.utils.get_environ_proxies(url, no_proxy=None)
    if proxies.get(parts.scheme) or proxies.get("all"):
        return ok("server", "reached through the proxy that the environment names")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return no_address(host, error)
    address = found[0][4][0]
    try:
        socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
    except OSError as error:
        text = f"no connection to {host} ({address}) port {port}: {error.strerror or error}"
        return fail("server", text, "is it up, is [waziup] url right, does a firewall allow it?")
    return ok("server", f"{host} ({address}) takes connections on port {port}")


def no_address(host: str, error: Exception) -> Finding:
    """Tell a network without DNS from a host that does not exist, by the codes of resolver(3)."""
    code = error.errno if isinstance(error, socket.gaierror) else None
    if code in (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM):
        text = f"no DNS server answers when asked for {host}: {error}"
        return fail("server", text, "is there a network (ip route), and a name server (cat /etc/resolv.conf)?")
    if code in NO_SUCH_NAME:
        text = f"there is no host {host}: {error}"
        return fail(
            "server", text, "correct [waziup] url; if it is right, is this network's DNS (cat /etc/resolv.conf)?"
        )
    return fail("server", f"no address for {host}: {error}", "is there a network, and is [waziup] url right?")


def _no_answer(url: str, error: SinkError) -> Finding:
    if isinstance(error.__cause__, requests.exceptions.SSLError):
        return check_tls(url, error, now_us())
    return fail("server", error.what, error.fix or f"is {url} the address of the API?")


def _check_api(url: str, answer: Answer) -> Iterator[Finding]:
    if urlsplit(url).scheme == "https":
        yield ok("server", "TLS: the certificate is good")
    if is_web_page(answer):
        text = f"a web page answers at {url}, not the Waziup API: status {answer.status}: {answer.text[:80]}"
        fix = "log in to this network with a browser if it wants that; else correct [waziup] url"
        yield fail("server", text, f"{fix}; it usually ends in /api/v2")
    elif _read(answer, RemoteUser) is None:
        text = f"no Waziup API at {url}: status {answer.status}: {answer.text}"
        yield fail("server", text, "correct [waziup] url; it usually ends in /api/v2")
    else:
        yield ok("server", f"Waziup API at {url}")


def is_web_page(answer: Answer) -> bool:
    """Return whether this is a page for people, as a network's login page (RFC 6585: 511)."""
    body = answer.body[:200].lstrip().lower()
    return 300 <= answer.status < 400 or answer.status == 511 or body.startswith((b"<!doctype html", b"<html"))


def check_clock(date: str, our_us: WallUs) -> Finding:
    """Compare the Date header of an answer that has just come with the machine's clock."""
    try:
        server_us = int(parsedate_to_datetime(date).timestamp() * 1e6)
    except (ValueError, TypeError, OverflowError):
        return warning("clock", "the server does not tell the time", "compare yourself: run date -u")
    apart_s = (our_us - server_us) / 1e6
    if abs(apart_s) <= MAX_CLOCK_ERROR_S:
        return ok("clock", f"within {MAX_CLOCK_ERROR_S} s of the server's")
    text = f"{abs(apart_s):.0f} s {'ahead of' if apart_s > 0 else 'behind'} the server's, and readings get our time"
    quarters = round(abs(apart_s) / QUARTER_HOUR_S)
    # Zones are quarters of an hour apart, and up to 14 h from UTC.
    if quarters in ZONE_QUARTERS and abs(abs(apart_s) - quarters * QUARTER_HOUR_S) <= MAX_CLOCK_ERROR_S:
        text += f"; {quarters / 4:g} h sharp: it was probably set to local time as if that were UTC"
        return warning("clock", text, "sudo timedatectl set-timezone REGION/CITY, then sudo timedatectl set-ntp true")
    return warning("clock", text, "set it: sudo timedatectl set-ntp true")


def _check_account(client: WaziupClient, waziup: WaziupConfig, site: Site) -> Iterator[Finding]:
    if waziup.account is None:
        yield ok("credentials", "none: the simple protocol, for public devices that exist")
        yield skipped("gateway", "without an account nothing is declared")
        return
    client.account = waziup.account
    findings, username = _check_login(client, waziup.account.username)
    yield from findings
    if not site.gateway_id:
        yield skipped("gateway", "[gateway] has a mistake")
    elif username:
        commands = Commands(client.base_url, waziup.account.username)
        yield from _check_gateway(client, site, username, commands, provision=waziup.provision)
        if waziup.provision:
            yield from _check_devices(client, site, username, commands)
    else:
        yield skipped("gateway", "the login failed")


def _check_login(client: WaziupClient, username: str) -> tuple[list[Finding], str]:
    """Log in, and ask who we are to the server: a token that it does not believe makes a guest."""
    try:
        client.log_in()
    except Unavailable as error:
        return [fail("credentials", error.what, error.fix or "try again later")], ""
    me = _read(client.get_me(), RemoteUser)
    if me is None or me.username == GUEST:
        text = "the server gives a token and then does not believe it"
        return [fail("credentials", text, "tell the server's administrator: its clocks or keys disagree")], ""
    claims = client.claims
    lifetime = f", for {claims.exp - claims.iat:.0f} s at a time" if claims and claims.iat else ""
    findings = [ok("credentials", f"logged in as {me.username}{lifetime}")]
    if me.username != username:
        findings.append(warning("credentials", f"{username!r} is called {me.username!r} there, and owns things so"))
    return findings, me.username


def _check_gateway(
    client: WaziupClient, site: Site, username: str, commands: Commands, *, provision: bool
) -> Iterator[Finding]:
    """Tell whose the gateway id is: all users of the platform share the ids."""
    gateway_id = site.gateway_id
    answer = client.get_gateway(gateway_id)
    gateway = _read(answer, RemoteGateway)
    if answer.status == 403:
        yield _failed("gateway", other_private_gateway(gateway_id))
    elif answer.status == 404 and answer.body and provision:
        yield ok("gateway", f"{gateway_id} is free; the first `lora-post run` declares it")
    elif answer.status == 404 and answer.body:
        yield warning("gateway", f'{gateway_id} is not there, and provision is "never"', "declare it on the dashboard")
    elif gateway is None:
        yield fail("gateway", f"{gateway_id}: status {answer.status}: {answer.text}", "try again later")
    elif problem := other_gateway(gateway, username, commands):
        yield _failed("gateway", problem)
    else:
        yield ok("gateway", f"{gateway_id} belongs to {username}")
        if provision and (problem := wrong_gateway(gateway, site.visibility, username, commands)):
            yield warning("gateway", problem.what, problem.fix)


def _check_devices(client: WaziupClient, site: Site, username: str, commands: Commands) -> Iterator[Finding]:
    """Tell which devices are not this account's, which others may see, and which another gateway sends for."""
    others: defaultdict[str, list[str]] = defaultdict(list)
    for configured in islice(site.devices, MAX_DEVICES):
        answer = client.get_device(configured.id)
        device = _read(answer, RemoteDevice)
        if answer.status == 403:
            yield _failed("devices", other_private_device(configured.id))
        elif device is None:
            continue  # it will be created
        elif problem := other_device(device.id, device.owner, username):
            yield _failed("devices", problem)
        else:
            if device.gateway_id not in (None, "", site.gateway_id):
                others[to_text(device.gateway_id or "")].append(device.id)
            if problem := wrong_device(device, configured.visibility, commands):
                yield warning("devices", problem.what, problem.fix)
    for other, names in sorted(others.items()):
        yield warning(
            "devices",
            f"gateway {other} sends for {', '.join(names)}: what is heard of them here is kept back",
            f"take them out of this configuration, or if {other} is out of use: "
            f"lora-post spool take-over {quote(names[0])}",
        )


def _failed(subject: str, problem: Problem) -> Finding:
    return fail(subject, problem.what, problem.fix)


def _read(answer: Answer, kind: type[T]) -> T | None:
    """Return the body of a good answer; None when it is not what was asked for."""
    if answer.status != 200:
        return None
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
