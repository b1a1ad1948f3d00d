"""Check the configuration: its text, its secrets, keys, decoders and inputs."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from lora_post.checks.serial_port import check_port
from lora_post.config import Config
from lora_post.config.inputs import InputConfig
from lora_post.config.status import StatusConfig
from lora_post.decoding.choice import mistakes_of
from lora_post.decoding.loading import LoadedDecoders
from lora_post.decoding.unit_slips import slips_of_decoder, slips_of_device
from lora_post.decoding.unmatched import unmatched
from lora_post.errors import ConfigError, Problem
from lora_post.inputs.byte_streams import open_stream
from lora_post.inputs.udp import bind_udp
from lora_post.model import Device, Link
from lora_post.net.input_url import file_path
from lora_post.net.mqtt_url import read_mqtt_url
from lora_post.sinks.finding import Finding, fail, ok, skipped, warning
from lora_post.text import plural, some_of

# NIST's AES-128 example key, which LowCostLoRaGw ships as the default of every device.
# Source: FIPS 197, appendix A.1; CongducPham/LowCostLoRaGw: gw_full_latest/key_LoRaWAN.py.
PUBLISHED_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
# What people put in to try out: one byte again and again, or counting.
COUNTING_KEY = bytes(range(16))

BROKER_TIMEOUT_S = 5.0


def check_configuration(path: Path, config: Config | None, mistakes: Collection[Problem]) -> Iterator[Finding]:
    """Yield the mistakes of the file, and who may read its secrets."""
    for mistake in mistakes:
        yield fail("configuration", mistake.what, mistake.fix)
    if config is None:
        return
    if not mistakes:
        yield ok("configuration", f"{path}: gateway {config.gateway_id}, {plural(len(config.devices), 'device')}")
    for problem in config.warnings:
        yield warning("secrets" if "secret" in problem.what else "configuration", problem.what, problem.fix)
    if not any("secret" in problem.what for problem in config.warnings):
        yield ok("secrets", "no file with secrets is open to everybody")


def check_keys(config: Config) -> Iterator[Finding]:
    """Yield which devices have keys that others know."""
    if not config.devices:
        yield warning("keys", "there is no [[device]], so every frame will be refused", "add one for each device")
    for device in config.devices:
        if PUBLISHED_KEY in device.secrets:
            yield warning(
                "keys",
                f"{device.id} uses the key that is published with LowCostLoRaGw: anybody can read and forge its frames",
                "give the device keys of its own",
            )
        elif any(len(set(key)) == 1 or key == COUNTING_KEY for key in device.secrets):
            text = f"{device.id} has a key that anybody would try first, so its frames can be forged"
            yield warning("keys", text, "give the device keys of its own: openssl rand -hex 16")
    yield from _check_shared_keys(config.devices)
    keyed = sum(bool(device.secrets) for device in config.devices)
    if keyed:
        yield ok("keys", f"{plural(keyed, 'device')} with keys of the right length")
    clear = [device.id for device in config.devices if not device.secrets and device.link is Link.LOWCOST]
    if clear:
        text = f"{plural(len(clear), 'device')} without keys ({some_of(clear)}): what is sent in clear can be forged"
        yield ok("keys", text)


def _check_shared_keys(devices: Collection[Device]) -> Iterator[Finding]:
    owners: dict[bytes, list[str]] = {}
    for device in devices:
        for key in set(device.secrets) - {PUBLISHED_KEY}:
            owners.setdefault(key, []).append(device.id)
    for group in sorted({tuple(ids) for ids in owners.values() if len(ids) > 1}):
        more = f" and {len(group) - 2} more" if len(group) > 2 else ""
        text = f"{group[0]}, {group[1]}{more} have the same key: who opens one of them can forge all"
        yield warning("keys", text, "give each device keys of its own: openssl rand -hex 16")


def check_decoders(devices: Collection[Device], loaded: LoadedDecoders) -> Iterator[Finding]:
    """Yield whether decoder files load, and devices have decoders that take their options."""
    for problem in loaded.problems:
        yield warning("decoders", problem.what, problem.fix or "correct the file, or take it out of the folder")
    for mistake in mistakes_of(tuple(devices), loaded.decoders, loaded.faults):
        yield fail("decoders", f"{mistake.device}: {mistake.problem.what}", mistake.problem.fix)
    for device in devices:
        for slip in (*unmatched(device, loaded.decoders), *slips_of_device(device)):
            yield warning("decoders", f"{slip.device}: {slip.problem.what}", slip.problem.fix)
    for name, decoder in sorted(loaded.decoders.items()):
        for problem in slips_of_decoder(decoder):
            yield warning("decoders", f"{name}: {problem.what}", problem.fix)
    yield ok("decoders", f"{len(loaded.decoders)} loaded")


def check_status_page(status: StatusConfig | None) -> Iterator[Finding]:
    """Yield whether the status page can listen where it is to."""
    if status is None:
        return
    from lora_post.web.serving import listen  # only where there is a page

    where = f"{status.host}:{status.port}"
    try:
        listen(status.host, status.port).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            yield warning("status page", f"{where} is taken", "fine if that is `lora-post run`; else name another port")
        else:
            yield fail("status page", f"{where}: {error.strerror or error}", "correct [status] listen")
        return
    yield ok("status page", f"{where} is free")


def check_inputs(config: Config) -> Iterator[Finding]:
    """Yield whether files can be read, and ports can be opened."""
    for item in config.inputs:
        if item.url.startswith("serial:"):
            yield from _check_serial(item.url)
        else:
            yield _check_input(item)


def _check_serial(url: str) -> Iterator[Finding]:
    try:
        stream = open_stream(url)
    except ConfigError as error:
        yield fail("inputs", error.what, error.fix or "correct the url")
        return
    stream.close()
    yield from check_port(stream.name)


def _check_input(item: InputConfig) -> Finding:
    if item.downlink_dir is not None and not os.access(item.downlink_dir, os.W_OK):
        return fail(
            "inputs",
            f"{item.downlink_dir}: the radio program's folder cannot be written, so no device is answered",
            "correct downlink_dir, or the mode of the folder",
        )
    if item.url.partition(":")[0] == "stdin":
        return ok("inputs", "stdin")
    if item.url.startswith("file:") and file_path(item.url).is_fifo():
        return _check_fifo(file_path(item.url))
    if item.url.startswith("udp:"):
        return _check_port(item, bind_udp)
    if item.url.startswith("station:"):
        return _check_station(item)
    if item.url.startswith(("mqtt:", "mqtts:")):
        return _check_broker(item)
    try:
        stream = open_stream(item.url)
    except ConfigError as error:
        return fail("inputs", error.what, error.fix or "correct the url, or the mode of the file")
    stream.close()
    return ok("inputs", f"{stream.name} can be read")


def _check_fifo(path: Path) -> Finding:
    """Return whether a FIFO may be read. It is not opened: that would take it from its reader."""
    if os.access(path, os.R_OK):
        return ok("inputs", f"{path} is a FIFO and can be read")
    return fail("inputs", f"{path}: this user may not read it", "correct the mode of the FIFO")


def _check_station(item: InputConfig) -> Finding:
    from lora_post.inputs.station import bind_station, station_config  # only where one is configured

    try:
        station_config(item)
    except ConfigError as error:
        return fail("inputs", error.what, error.fix)
    return _check_port(item, bind_station)


def _check_port(item: InputConfig, bind: Callable[[str], socket.socket]) -> Finding:
    try:
        with bind(item.url) as listener:
            address = str(listener.getsockname()[0])
    except ConfigError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE:
            return warning("inputs", error.what, "fine if that is `lora-post run`; else stop it")
        return fail("inputs", error.what, error.fix)
    if not item.gateways and not address.startswith("127."):
        return warning(
            "inputs",
            f"{item.url}: whoever reaches this port can send packets; those of devices without keys are believed",
            'name your gateways: gateways = ["b827ebfffe6e80a1"]',
        )
    return ok("inputs", f"{item.url} is free")


def _check_broker(item: InputConfig) -> Finding:
    """Return whether a broker answers. A login would take the session from a running `run`."""
    try:
        address = read_mqtt_url(item.url)
    except ConfigError as error:
        return fail("inputs", error.what, error.fix)
    where = f"the broker at {address.host}:{address.port}"
    try:
        socket.create_connection((address.host, address.port), BROKER_TIMEOUT_S).close()
    except OSError as error:
        why = error.strerror or str(error)
        return warning("inputs", f"{where} does not answer: {why}", "start it, or correct the url; `run` waits for it")
    return ok("inputs", f"{where} answers")


def skip_setup(why: str) -> Iterator[Finding]:
    """Yield the checks that need a configuration, as skipped."""
    for subject in ("secrets", "keys", "inputs", "spool", "server"):
        yield skipped(subject, why)
