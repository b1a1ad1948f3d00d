"""Check the way back to devices: who transmits, and what the spool says of what was sent and heard last."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import Final

from lora_post.command import Command
from lora_post.config import Config
from lora_post.downlink.network import Network
from lora_post.errors import SpoolError
from lora_post.formats.at_send import ModuleRadio, radio_of
from lora_post.formats.server_queues import SERVERS
from lora_post.model import Device, Frame, Link
from lora_post.sinks.finding import Finding, ok, skipped, warning
from lora_post.spool import downlinks, strangers
from lora_post.spool.facts import Facts
from lora_post.spool.ledger import ROUND_TRIPS
from lora_post.spool.spool_file import SpoolFile
from lora_post.text import plural, some_of

SUBJECT: Final = "way back"
LAST: Final = 100
"""Commands that are looked at."""
_REGION: Final = ("TX_FREQ", "TX_POWER")
"""What a forwarder says that is set up for another region."""
_OF_RADIO_PROGRAM: Final = (1, 5)
MAX_SHOWN: Final = 16
JITTER_MS: Final = 20
_SYMBOLS: Final = 8
"""So long a device looks for the beginning of a frame."""
BESIDE_S: Final = 0.3
"""What an answer takes besides: here, and in the gateway before a window."""
_MILLISECONDS: Final = re.compile(r"[0-9]{1,7}", re.ASCII).fullmatch
_LATE: Final = re.compile(r"\bms too late|TOO_LATE")


def check_way_back(config: Config) -> Iterator[Finding]:
    """Yield what is to be said; nothing where nothing is sent."""
    servers = [each.url for each in config.inputs if each.transmit and each.format in SERVERS]
    if servers:
        yield ok(SUBJECT, f"devices of network servers are sent to through {some_of(servers)}")
    network = config.network
    if network is None:
        return
    gateways = [each.url for each in config.inputs if each.transmit and each.format not in SERVERS]
    silent = [each.url for each in config.inputs if not each.transmit]
    if not gateways:
        yield warning(SUBJECT, "no [[input]] can transmit, so no device is answered", 'add one with url = "udp://…"')
        return
    text = f"devices are answered by {some_of(gateways)}, in {network.name}"
    yield ok(SUBJECT, f"{text}; not by {some_of(silent)}" if silent else text)
    folders = [str(each.downlink_dir) for each in config.inputs if each.transmit and each.downlink_dir]
    if folders and network.rx_delay_s not in _OF_RADIO_PROGRAM:
        text = f"LowCostLoRaGw's radio program at {some_of(folders)} takes rx_delay_s 1 and 5 only"
        yield warning(SUBJECT, text, "set rx_delay_s = 5")
    for each in config.inputs:
        if each.transmit and (radio := radio_of(each.format, each.setup)):
            yield check_module(each.url, radio)
    try:
        if not os.access(config.spool_path, os.R_OK | os.W_OK):
            return
        with closing(SpoolFile(config.spool_path)) as spool_file:
            commands = downlinks.load(spool_file, limit=LAST)
            trips = Facts(spool_file, ROUND_TRIPS).recall()
            frames = [frame for each in strangers.load(spool_file) for frame in each.frames]
    except SpoolError as error:
        yield skipped(SUBJECT, f"what was sent last is not known: {error.what}")
        return
    yield from check_heard(frames, network)
    yield from check_sent(commands, network)
    yield from check_round_trips(trips, network, config.devices)


def check_module(url: str, radio: ModuleRadio) -> Finding:
    """Return whether devices hear a serial module, which this machine has to send in time."""
    listens_ms = round(_SYMBOLS * 1000 * (1 << radio.sf) / radio.bw_hz)
    text = (
        f"the module at {url} is told when to send, right to {JITTER_MS} ms; at SF{radio.sf} a device listens for "
        f"{listens_ms} ms, with any rx_delay_s"
    )
    if listens_ms > JITTER_MS:
        return ok(SUBJECT, text)
    return warning(SUBJECT, f"{text}: it may hear nothing", "use SF10 to SF12, or devices of class C")


def check_round_trips(trips_ms: Mapping[str, str], network: Network, devices: Iterable[Device]) -> Iterator[Finding]:
    """Yield how long gateways take to say what they do with a frame, and whether that is soon enough.

    trips_ms: by gateway, as they were measured in runs; a frame and its answer together take as long.
    """
    fixed = any(each.link is not Link.SERVER and each.root is None and each.rx_delay_s == 1 for each in devices)
    delay_s = 1 if fixed else network.rx_delay_s
    for gateway, text in sorted(trips_ms.items())[:MAX_SHOWN]:
        if not _MILLISECONDS(text):
            continue  # the spool was damaged
        trip_s = int(text) / 1000
        said = f"gateway {gateway} answers within {trip_s:.2f} s"
        if trip_s + BESIDE_S <= 1:
            yield ok(SUBJECT, f"{said}: soon enough for rx_delay_s = 1")
        elif trip_s + BESIDE_S <= delay_s:
            yield ok(SUBJECT, f"{said}: soon enough for rx_delay_s = {delay_s}, not for 1")
        else:
            fix = "keep rx_delay_s = 5 and let devices join, or give the gateway a faster link"
            yield warning(SUBJECT, f"{said}: too late for devices that listen after {delay_s} s", fix)


def check_heard(frames: Iterable[Frame], network: Network) -> Iterator[Finding]:
    """Yield whether frames that were refused came at frequencies that are not of the region."""
    foreign = Counter(
        frame.rx.freq_mhz
        for frame in frames
        if frame.rx.freq_mhz is not None and not _is_of(network, frame.rx.freq_mhz)
    )
    if foreign:
        heard = some_of([f"{freq:g}" for freq in sorted(foreign)])
        text = (
            f"{plural(foreign.total(), 'frame')} of unknown senders came at {heard} MHz, which is not in {network.name}"
        )
        yield warning(SUBJECT, text, "set [network] region to the one of the packet forwarder, if it is yours")


def _is_of(network: Network, freq_mhz: float) -> bool:
    low, high = network.region.band
    return low <= round(freq_mhz * 1e6) <= high


def check_sent(commands: Iterable[Command], network: Network) -> Iterator[Finding]:
    """Yield what gateways have said of downlinks: that they are set up for another region, or were told too late."""
    steps = [step.text for command in commands for step in command.steps]
    refused = Counter(word for text in steps for word in _REGION if word in text)
    for word, count in refused.items():
        text = f"a gateway has refused {plural(count, 'downlink')} with {word}: it is set up for another region"
        yield warning(SUBJECT, text, f"set up its packet forwarder for {network.name}, or correct [network] region")
    late = sum(bool(_LATE.search(text)) for text in steps)
    if late:
        text = f"{plural(late, 'downlink')} came too late for the windows of the device"
        wanted = "raise rx_delay_s" if network.rx_delay_s > 1 else "set rx_delay_s = 5"
        fix = f"the way to the gateway is slow: {wanted} and let devices join again; those with fixed keys have 1 s"
        yield warning(SUBJECT, text, fix)
