"""`lora-post simulate`"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from itertools import islice
from math import inf, isfinite
from random import Random
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import click

from lora_post.clocks.scale import now_us, parse_utc
from lora_post.errors import ConfigError, SinkError
from lora_post.lorawan.region import load_region, region_names
from lora_post.model import Frame, Link
from lora_post.net.hosts import is_this_machine
from lora_post.run.signals import stop_on_signals
from lora_post.simulate.counters import MAX_FCNT, remembered
from lora_post.simulate.devices import (
    GATEWAY,
    MAX_DEVICES,
    MAX_LOWCOST,
    SimulatedDevice,
    clear_devices,
    in_turns,
    joining_devices,
    key_text,
    simulated_devices,
    simulated_frame,
)
from lora_post.simulate.end_device import EndDevice
from lora_post.simulate.format_writers import WRITERS, push_data
from lora_post.simulate.forwarder import SimulatedForwarder

FAST_START_US = parse_utc("2026-01-01T00:00:00Z")
UDP_PORT = 1700
MIN_PERIOD_S = 15
MAX_DATAGRAM = 4096


@click.command(name="simulate")
@click.option("--devices", "count", type=click.IntRange(1, MAX_DEVICES), default=4, show_default=True, help="How many.")
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    metavar="PER_SECOND",
    help="Uplinks a second, of all devices together; they take turns.",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(list(WRITERS)),
    default="lowcost",
    show_default=True,
    help="On stdout.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Keys, addresses and values follow from it.")
@click.option("--count", "uplinks", type=click.IntRange(1), metavar="UPLINKS", help="Stop after so many.")
@click.option("--duration", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help="Stop after so long.")
@click.option(
    "--fast",
    is_flag=True,
    help="Do not wait: times begin on 2026-01-01 and go on at the rate; the output is the same at each run, so that a "
    "spool which has had it refuses it.",
)
@click.option(
    "--fcnt",
    type=click.IntRange(0, MAX_FCNT),
    help="Counter of the first uplinks.  [default: on from the last run with this seed, 0 with --fast]",
)
@click.option("--to", "url", metavar="udp://HOST:PORT", help="Send to a packet forwarder's server instead of stdout.")
@click.option("--join", is_flag=True, help="Devices that join (OTAA) and listen, behind a packet forwarder; with --to.")
@click.option(
    "--region",
    type=click.Choice(region_names()),
    default="EU868",
    show_default=True,
    help="Of devices that join: the [network] region.",
)
@click.option("--allow-remote", is_flag=True, help="Let --to name another machine than this one.")
@click.option(
    "--config", "show_config", is_flag=True, help="Print the configuration for these devices, and no traffic."
)
def command(
    count: int,
    rate: float,
    output_format: str,
    seed: int,
    uplinks: int | None,
    duration: float | None,
    fast: bool,
    fcnt: int | None,
    url: str | None,
    join: bool,
    region: str,
    allow_remote: bool,
    show_config: bool,
) -> None:
    """Make traffic as devices would: encrypted and signed uplinks with temperature, humidity and battery.

    \b
        (umask 077; lora-post simulate --devices 20 --config > sim.toml)
        lora-post simulate --devices 20 --rate 5 | lora-post run -c sim.toml --dry-run

    Counters go on where the last run with this --seed has ended (in ~/.local/state/lora-post), as those of real
    devices do, so that it is accepted again and again. Keep sim.toml in a folder of its own: a devices.toml beside
    it is read as well, as beside any configuration.

    Half of the devices are LoRaWAN, half LowCostLoRaGw with AES; a REYAX module carries neither, so there they
    send in clear. The configuration sends to `lora-post sandbox`, not to the cloud. It has keys, which other users must
    not read: hence the umask. Ctrl-C ends it.

    \b
        (umask 077; lora-post simulate --join --to udp://127.0.0.1:1700 --config > sim.toml)
        lora-post run -c sim.toml &
        lora-post simulate --join --to udp://127.0.0.1:1700 --duration 120

    With --join they are devices of LoRaWAN 1.0.3, 1.0.4 and 1.1 that join, and hear only what comes in their receive
    windows. What a device could not hear or must not believe is told, and the exit code is then 1.
    """
    if not isfinite(rate) or not isfinite(duration or 0):
        raise click.BadParameter("a number is wanted", param_hint="--rate, --duration")
    if join:
        if url is None:
            raise click.BadParameter("say where with --to udp://HOST:PORT", param_hint="--join")
        if show_config:
            click.echo(joining_config(count, seed, region, url), nl=False)
            return
        _join(count, rate, seed, region, url, allow_remote, uplinks or inf, duration or inf)
        return
    if output_format == "reyax":
        if count > MAX_LOWCOST:
            raise click.BadParameter(
                f"{count} devices, a REYAX module has {MAX_LOWCOST} addresses", param_hint="--devices"
            )
        devices = clear_devices(count)
    else:
        devices = simulated_devices(count, seed)
    if show_config:
        click.echo(config_text(devices, seed, "rxpk" if url else output_format, url), nl=False)
        return
    total = min(uplinks if uplinks is not None else inf, max(int(duration * rate), 1) if duration is not None else inf)
    stop = stop_on_signals()
    start = monotonic()
    with (
        _frame_sender(url, seed, allow_remote) if url else _stdout_writer(output_format) as send,
        remembered(seed) as counters,
    ):
        first = fcnt if fcnt is not None else 0 if fast else counters.next
        turns = islice(in_turns(devices, first), None if total == inf else int(total))
        for n, (device, counter) in enumerate(turns):
            if stop.wait(0 if fast else max(start + n / rate - monotonic(), 0)):
                break
            if not fast:
                counters.use(counter)
            time_us = FAST_START_US + round(n * 1_000_000 / rate) if fast else now_us()
            try:
                send(simulated_frame(device, counter, seed, time_us), n + 1)
            except BrokenPipeError:
                # Whoever read has ended. Python would complain once more when it flushes stdout at exit.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                break
            except OSError as error:
                raise SinkError(f"simulate: {error.strerror}") from error


@contextmanager
def _stdout_writer(output_format: str) -> Iterator[Callable[[Frame, int], None]]:
    write = WRITERS[output_format]

    def send(frame: Frame, number: int) -> None:
        sys.stdout.buffer.write(write(frame, number))
        sys.stdout.buffer.flush()

    yield send


@contextmanager
def _frame_sender(url: str, seed: int, allow_remote: bool) -> Iterator[Callable[[Frame, int], None]]:
    with _udp_socket(url, allow_remote) as (sender, where):

        def send(frame: Frame, number: int) -> None:
            sender.sendto(push_data(frame, number, _eui(seed)), where)

        yield send


def _join(
    count: int, rate: float, seed: int, region: str, url: str, allow_remote: bool, uplinks: float, duration: float
) -> None:
    """Play a forwarder and its devices until it is enough; exit with 1 when a device had to complain."""
    plan, now = load_region(region), now_us()
    period_s = max(round(count / rate), MIN_PERIOD_S)
    devices = {
        device.id: EndDevice(
            device.root,
            device.version,
            plan,
            Random(f"{seed}/{device.id}/{now}"),  # noqa: S311 - no secret
            is_class_c=device.is_class_c,
            period_s=period_s,
            # A device keeps its counter of joins; these have no memory but the clock.
            first_dev_nonce=now // 60_000_000 % 0x10000,
        )
        for device in joining_devices(count, seed)
    }
    stop, began = stop_on_signals(), monotonic()
    with _udp_socket(url, allow_remote) as (sender, where):
        forwarder = SimulatedForwarder(
            devices, _eui(seed), lambda datagram: sender.sendto(datagram, where), _receiver(sender), _say
        )
        forwarder.run(
            stop,
            lambda: sum(each.uplinks for each in devices.values()) >= uplinks or monotonic() - began >= duration,
        )
    ends = devices.values()
    complaints = sum(len(end.complaints) for end in ends) + forwarder.missed
    joined, joins, sent = (sum(getattr(end, what) for end in ends) for what in ("is_joined", "joins", "uplinks"))
    _say(
        f"devices={len(ends)} joined={joined} joins={joins} uplinks={sent} downlinks={forwarder.downlinks} "
        f"complaints={complaints}"
    )
    if not joins:
        raise SinkError("simulate: no device joined", fix=f"let `lora-post run` with these devices listen at {url}")
    if complaints:
        sys.exit(1)


def _say(text: str) -> None:
    click.echo(text, err=True)


def _receiver(sender: socket.socket) -> Callable[[float], bytes]:
    def receive(wait_s: float) -> bytes:
        sender.settimeout(max(wait_s, 0.001))
        try:
            return sender.recv(MAX_DATAGRAM)
        except (TimeoutError, ConnectionRefusedError):
            return b""

    return receive


def _eui(seed: int) -> bytes:
    return b"\x02" + sha256(f"lora-post simulate/{seed}".encode()).digest()[:7]


@contextmanager
def _udp_socket(url: str, allow_remote: bool) -> Iterator[tuple[socket.socket, Any]]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or UDP_PORT
        if parts.scheme != "udp" or not host or parts.path not in ("", "/") or parts.query:
            raise ValueError
        address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except ValueError:
        raise click.BadParameter(f"{url!r} is not understood; write udp://127.0.0.1:1700", param_hint="--to") from None
    except OSError as error:
        raise ConfigError(f"--to {url}: {error.strerror}") from error
    if not is_this_machine(str(address[4][0])) and not allow_remote:
        raise ConfigError(f"--to {url} is another machine", fix="made-up traffic goes there with --allow-remote only")
    family, kind, protocol, _, where = address
    with socket.socket(family, kind, protocol) as sender:
        yield sender, where


def joining_config(count: int, seed: int, region: str, url: str) -> str:
    """Return a configuration for `run` in which these devices join and send to a local sandbox."""
    tables = [*_head(f'url = "{url}"\n'), f'[network]\nregion = "{region}"\n']
    for device in joining_devices(count, seed):
        app_key, *nwk_key = device.root.secrets
        lines = [
            "[[device]]",
            f'id = "{device.id}"',
            f'dev_eui = "{device.root.dev_eui:016x}"',
            f'join_eui = "{device.root.join_eui:016x}"',
            f'app_key = "{app_key.hex()}"',
            *(f'nwk_key = "{key.hex()}"' for key in nwk_key),
            *(['class = "C"'] if device.is_class_c else []),
            'decoder = "cayenne-lpp"',
        ]
        tables.append("\n".join(lines) + "\n")
    return "\n".join(tables)


def _head(input_lines: str) -> list[str]:
    return [
        "# Made by `lora-post simulate --config`; these devices do not exist, their keys are no secrets.",
        "# Best in a folder of its own: a devices.toml beside it is read as well.",
        "",
        f'[gateway]\nid = "{GATEWAY}"\n',
        '[waziup]\nurl = "http://127.0.0.1:8008/api/v2"  # lora-post sandbox\nusername = "demo"\npassword = "demo"\n',
        '[spool]\npath = "simulated-spool.db"\n',
        f"[[input]]\n{input_lines}",
    ]


def config_text(devices: list[SimulatedDevice], seed: int, input_format: str, url: str | None) -> str:
    """Return a configuration for `run` that accepts these uplinks and sends to a local sandbox."""
    tables = _head(f'url = "{url or "stdin:"}"\n' + ("" if url else f'format = "{input_format}"\n'))
    for device in devices:
        address = f'dev_addr = "{device.address:08x}"' if device.link is Link.LORAWAN else f"address = {device.address}"
        lines = ["[[device]]", f'id = "{device.id}"', address, 'decoder = "cayenne-lpp"']
        if device.keys is not None:
            lines += [f'{name} = "{key_text(seed, device.index, name)}"' for name in ("nwk_skey", "app_skey")]
        tables.append("\n".join(lines) + "\n")
    return "\n".join(tables)
