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
from time import monotonic
from urllib.parse import urlsplit

import click

from lora_post.clocks.scale import now_us, parse_utc
from lora_post.errors import ConfigError, SinkError
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
    key_text,
    simulated_devices,
    simulated_frame,
)
from lora_post.simulate.format_writers import WRITERS, push_data

FAST_START_US = parse_utc("2026-01-01T00:00:00Z")
UDP_PORT = 1700


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
    """
    if not isfinite(rate) or not isfinite(duration or 0):
        raise click.BadParameter("a number is wanted", param_hint="--rate, --duration")
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
        _udp_sender(url, seed, allow_remote) if url else _stdout_writer(output_format) as send,
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
def _udp_sender(url: str, seed: int, allow_remote: bool) -> Iterator[Callable[[Frame, int], None]]:
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
    eui = b"\x02" + sha256(f"lora-post simulate/{seed}".encode()).digest()[:7]
    with socket.socket(family, kind, protocol) as sender:

        def send(frame: Frame, number: int) -> None:
            sender.sendto(push_data(frame, number, eui), where)

        yield send


def config_text(devices: list[SimulatedDevice], seed: int, input_format: str, url: str | None) -> str:
    """Return a configuration for `run` that accepts these uplinks and sends to a local sandbox."""
    tables = [
        "# Made by `lora-post simulate --config`; these devices do not exist, their keys are no secrets.",
        "# Best in a folder of its own: a devices.toml beside it is read as well.",
        "",
        f'[gateway]\nid = "{GATEWAY}"\n',
        '[waziup]\nurl = "http://127.0.0.1:8008/api/v2"  # lora-post sandbox\nusername = "demo"\npassword = "demo"\n',
        '[spool]\npath = "simulated-spool.db"\n',
        f'[[input]]\nurl = "{url or "stdin:"}"\n' + ("" if url else f'format = "{input_format}"\n'),
    ]
    for device in devices:
        address = f'dev_addr = "{device.address:08x}"' if device.link is Link.LORAWAN else f"address = {device.address}"
        lines = ["[[device]]", f'id = "{device.id}"', address, 'decoder = "cayenne-lpp"']
        if device.keys is not None:
            lines += [f'{name} = "{key_text(seed, device.index, name)}"' for name in ("nwk_skey", "app_skey")]
        tables.append("\n".join(lines) + "\n")
    return "\n".join(tables)
