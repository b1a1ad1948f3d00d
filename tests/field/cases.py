"""The cases: how each is run, and what is right."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import pytest

from tests.support.command import COMMAND, SCRIPT, run, started, wait_until
from tests.support.in_process import lora_post
from tests.support.keeping_broker import Broker, broker, publish, publisher
from tests.support.paths import FIXTURES, ROOT
from tests.support.ports import free_port
from tests.support.radio_program import C_PROGRAM, LINE, run_behind

Row: TypeAlias = dict[str, Any]
LONG_AGO: Final = timedelta(minutes=10)
LAST_REPEATS: Final = 22.0
"""Seconds after which the same clear frame is another one."""
WITHOUT_REPEATS: Final = (*SCRIPT, str(ROOT / "tests" / "support" / "without_repeats.py"))
"""The command, to which the same clear frame is another one at once."""


class Case(NamedTuple):
    """One case. run: gives the result as text, is handed an empty folder. right: that text."""

    name: str
    run: Callable[[Path], str]
    right: str


def replayed(name: str, _: Path, zone: str = "UTC", sensors: str = "") -> str:
    """`lora-post replay FILE -c TOML --dry-run` with the configuration of the same name.

    sensors: how the names of those begin that the case is about.
    """
    capture = FIXTURES / name
    with in_zone(zone):
        done = lora_post(
            "replay", capture, "--format", capture.suffix[1:], "-c", capture.with_suffix(".toml"), "--dry-run"
        )
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in done.out.splitlines()]
    return told(
        row | {"readings": [each for each in row["readings"] if each["sensor"].startswith(sensors)]} for row in rows
    )


@contextmanager
def in_zone(name: str) -> Iterator[None]:
    """This process in a time zone."""
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("TZ", name)
            time.tzset()
            yield
    finally:
        time.tzset()


def told(rows: Iterator[Row]) -> str:
    """Uplinks in words; what has the time of its arrival is of now."""
    return "; ".join(map(_row_told, rows))


def _row_told(row: Row) -> str:
    if row["refused"]:
        return f"refused ({row['refused']['fix'] or row['refused']['check']})"
    readings = [f"{each['sensor']} {each['value']!r}{_when(each['time'])}" for each in row["readings"]]
    return f"fcnt {row['fcnt']} {', '.join(readings) or row['warnings'][0]}"


def _when(text: str) -> str:
    return "" if abs(datetime.now(UTC) - datetime.fromisoformat(text)) < LONG_AGO else f" of {text}"


def site(folder: Path, url: str, input_format: str, device: str, more: str = "") -> Path:
    """A configuration that writes readings to a file."""
    path = folder / "site.toml"
    path.write_text(
        f'[gateway]\nid = "gw1"\n[spool]\npath = "spool.db"\n[json_lines]\npath = "out.jsonl"\n{more}\n'
        f'[[input]]\nurl = "{url}"\nformat = "{input_format}"\n[[device]]\nid = "pond"\n{device}\n'
    )
    path.chmod(0o600)
    return path


def written(folder: Path) -> list[Row]:
    path = folder / "out.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def readings_told(folder: Path) -> str:
    return ", ".join(f"{each['sensor']} {each['value']!r}{_when(each['time'])}" for each in written(folder))


POND: Final = (
    'dev_addr = "26011bda"\nnwk_skey = "00112233445566778899aabbccddeeff"\n'
    'app_skey = "ffeeddccbbaa99887766554433221100"\ndecoder = "cayenne-lpp"'
)
SERVED: Final = 'dev_eui = "02aabbccddeeff01"\ndecoder = "{}"'


def bad_clock(folder: Path) -> str:
    config = site(folder, "stdin:", "chirpstack", SERVED.format("cayenne-lpp"))
    with subprocess.Popen(["cat", FIXTURES / "field/bad_clock.chirpstack"], stdout=subprocess.PIPE) as cat:
        done = subprocess.run([COMMAND, "run", "-c", config], stdin=cat.stdout, capture_output=True, check=True)
    return f"{readings_told(folder)}; {'warned' if b'its clock is wrong' in done.stderr else 'not a word'}"


def datagram(name: str, folder: Path) -> str:
    port = free_port()
    config = site(folder, f"udp://127.0.0.1:{port}", "rxpk", POND)
    with started("run", "-q", "-c", str(config)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gateway:
        gateway.connect(("127.0.0.1", port))
        gateway.settimeout(0.2)

        def is_acknowledged() -> bool:
            gateway.send(bytes.fromhex((FIXTURES / name).read_text()))
            try:
                return gateway.recv(100).hex() == "02123401"
            except OSError:
                return False

        wait_until(is_acknowledged, "not acknowledged")
        wait_until(lambda: written(folder), "no reading")
    return readings_told(folder)


def no_header(folder: Path) -> str:
    config = site(folder, f"file:{FIXTURES}/field/no_header.lowcost", "lowcost", 'address = 7\ndecoder = "text"')
    config.write_text(config.read_text().replace('"lowcost"', '"lowcost"\naddress = 7'))
    done = run("run", "--dry-run", "-c", str(config))
    return told(json.loads(line) for line in done.stdout.splitlines())


@contextmanager
def running(config: Path, server: Broker, times: int, command: Sequence[str]) -> Iterator[None]:
    """`lora-post run` from the moment when it has subscribed this many times in all; ended as by a service."""
    with started("run", "-q", "-c", str(config), command=command) as process:
        wait_until(lambda: server.subscriptions() == times, "not subscribed")
        yield
        process.terminate()
        process.wait()


def retained(folder: Path, *, exact: bool) -> str:
    """Published before the first start. exact: with the pause that was reported."""
    with broker(folder) as server:
        config = site(folder, f"mqtt://127.0.0.1:{server.port}/up", "lines", 'address = 6\ndecoder = "text"')
        with publisher(server.port) as client:
            client.publish("up", b"011006055c2154432f32322e35", 1, retain=True).wait_for_publish()
        for start in range(1, 4):
            with running(config, server, start, (COMMAND,) if exact else WITHOUT_REPEATS):
                wait_until(lambda: written(folder), "no reading")
                if start > 1:
                    wait_until(lambda start=start: server.delivered() >= start, "not delivered again")  # type: ignore[misc]
            time.sleep(LAST_REPEATS if exact else 0)
    return readings_told(folder)


def stored_while_away(folder: Path) -> str:
    now = datetime.now(UTC).replace(microsecond=0)
    heard, measured = now - timedelta(hours=1), now - timedelta(hours=3)
    payload = struct.pack(">Ih", int(measured.timestamp()), 2150)
    event = {"time": heard.isoformat(), "deviceInfo": {"devEui": "02aabbccddeeff01"}, "fCnt": 4, "fPort": 2}
    with broker(folder) as server:
        decoders = f'[decoders]\nfolder = "{FIXTURES}/codecs"'
        url = f"mqtt://127.0.0.1:{server.port}/up"
        config = site(folder, url, "chirpstack", SERVED.format("hist-unix"), decoders)
        with running(config, server, 1, (COMMAND,)):
            pass
        publish(server.port, ("up", json.dumps(event | {"data": b64encode(payload).decode()}).encode()))
        with running(config, server, 2, (COMMAND,)):
            wait_until(lambda: written(folder), "no reading")
    (reading,) = written(folder)
    is_measured = datetime.fromisoformat(reading["time"]) == measured
    return f"{reading['sensor']} {reading['value']} of {'its measurement' if is_measured else reading['time']}"


def number_as_text(_: Path) -> str:
    codec = str(FIXTURES / "codecs" / "to-fixed.js")
    done = lora_post("decode", "--payload", "41CC00000B45", "--fport", "2", "--decoder", codec, "--json")
    readings = {each["sensor"]: each["value"] for each in json.loads(done.out)["readings"]}
    return ", ".join(f"{name} {readings[name]!r}" for name in ("temperature", "battery", "level", "dash", "lead"))


def kept_back(folder: Path) -> str:
    with run_behind(C_PROGRAM, folder) as (radio, log):
        assert radio.stdin is not None
        wanted, deadline = "lines arrive late, in blocks of 4 kB", time.monotonic() + 120
        while wanted not in log.read_text() and time.monotonic() < deadline:
            radio.stdin.write(LINE)
            time.sleep(0.03)
        return wanted if wanted in log.read_text() else "not a word"


_RESET: Final = "if it was restarted: `lora-post spool reset-counter pond`, or"


def cases(*, exact: bool) -> list[Case]:
    """All cases. exact: with each pause as it was reported."""
    return [
        Case(
            "c01 ChirpStack 4.0 leaves out fCnt 0",
            partial(replayed, "field_fcnt_0.chirpstack"),
            "fcnt 0 temperature_3 27.2 of 2026-05-14T08:15:30.120456Z; "
            "fcnt 1 temperature_3 27.2 of 2026-05-14T08:16:30Z",
        ),
        Case(
            "c05 ChirpStack 4.0 leaves out fPort 0",
            partial(replayed, "field_fport_0.chirpstack"),
            "fcnt 4 MAC commands only",
        ),
        Case(
            "c12 a network server passes a wrong clock on",
            bad_clock,
            "temperature_3 27.2, temperature_3 27.2, temperature_3 27.2; warned",
        ),
        Case(
            "c13 the same uplink again 48 s later",
            partial(replayed, "field_sent_again.chirpstack"),
            "fcnt 104 temperature_3 27.2 of 2026-05-14T08:15:30.120456Z; refused (repeat)",
        ),
        Case(
            "l08 summer time, TZ=Europe/Paris",
            partial(replayed, "field/summer_time.lowcost", zone="Europe/Paris"),
            "fcnt 1 TC 22.5 of 2026-07-10T10:00:00Z; fcnt 2 TC 22.6 of 2026-12-10T11:00:00Z; "
            "fcnt 3 TC 22.7 of 2026-07-10T10:00:00Z",
        ),
        Case(
            "n01 times of a normalised uplink",
            partial(replayed, "field_history.chirpstack", sensors="air."),
            "fcnt 4 air.temperature 20.5 of 2026-05-14T08:00:00Z, air.temperature 21.5 of 2026-05-14T08:05:00Z",
        ),
        Case(
            "n02 recvTime is the reception",
            partial(replayed, "field_recv_time.chirpstack"),
            "fcnt 4 t 22 of 2026-05-14T08:15:30.120456Z, "
            "recv '2026-05-14T08:15:30.120Z' of 2026-05-14T08:15:30.120456Z",
        ),
        Case(
            "n03 a history with times of its own",
            partial(replayed, "field_codec_history.chirpstack"),
            "fcnt 4 temperature 27.2 of 2024-05-15T08:38:54Z, humidity 46.5 of 2024-05-15T08:38:54Z, "
            "temperature 27.3 of 2024-05-15T08:43:10Z, humidity 46.5 of 2024-05-15T08:43:10Z",
        ),
        Case(
            "hist-unix.js over MQTT, heard an hour ago while away",
            stored_while_away,
            "air.temperature 21.5 of its measurement",
        ),
        Case("a retained message, three starts", partial(retained, exact=exact), "TC 22.5"),
        Case("udp_truncated_stat", partial(datagram, "field/truncated_stat.hex"), "temperature_3 27.2"),
        Case("udp_trailing_nul", partial(datagram, "field/trailing_nul.hex"), "temperature_3 27.2"),
        Case(
            's01 a counter of 32 bits with fcnt = "16bit"',
            partial(replayed, "field_fcnt_32_bit.lines"),
            "; ".join(3 * ('refused (its counter has 32 bits: set fcnt = "strict" in its [[device]])',)),
        ),
        Case(
            's02 FCnt 0 again in another frame, fcnt = "strict"',
            partial(replayed, "field_fcnt_0_again.lines"),
            "fcnt 0 temperature_3 27.2; "
            + 2 * f'refused ({_RESET} fcnt = "restarts" if it restarts often); '
            + "fcnt 1 temperature_3 27.5",
        ),
        Case(
            's03 a restart whose first frames were missed, fcnt = "restarts"',
            partial(replayed, "field_restart_missed.lines"),
            "fcnt 1000 temperature_3 27.2; fcnt 1001 temperature_3 27.2; "
            + 2 * f"refused ({_RESET} wait for its third new frame in a row); "
            + "fcnt 152 temperature_3 27.2",
        ),
        Case("f01 rxpk update: {…}", partial(replayed, "field_single_channel.rxpk"), "fcnt 80 temperature_3 27.2"),
        Case(
            "f07 RXTX~ {…}",
            partial(replayed, "field_dragino_log.rxpk"),
            "fcnt 90 temperature_3 27.2 of 2021-09-24T12:06:00.061971Z",
        ),
        Case(
            "r01 the log's own times",
            partial(replayed, "field_journal.rxpk"),
            "; ".join(f"fcnt {fcnt} temperature_3 27.2 of 2026-05-09T00:10:{16 + fcnt}Z" for fcnt in (10, 11, 12)),
        ),
        Case(
            "f02 util_pkt_logger",
            partial(replayed, "field_util_pkt_logger.pkt_logger"),
            "fcnt 81 temperature_3 27.2 of 2026-11-04T12:49:04.373000Z",
        ),
        Case(
            "f09 Basics Station",
            partial(replayed, "field_basics_station.station"),
            "fcnt 91 temperature_3 27.2 of 2026-08-01T09:12:44.449762Z",
        ),
        Case(
            "l03 bytes that are not UTF-8",
            partial(replayed, "field_not_utf8.lowcost"),
            "fcnt 3 HU 55.5 of 2026-03-21T11:25:39.971670Z",
        ),
        Case("l06 no header, address = 7", no_header, "fcnt 0 TC 88.88 of 2026-03-21T11:25:39.971670Z"),
        Case(
            "m06 RadioHead's header, its addresses configured",
            partial(replayed, "field_radiohead.rak"),
            "fcnt 0 TC 22.5; fcnt 0 TC 22.6; fcnt 16 TC 22.7",
        ),
        Case(
            "j01 a number as text",
            number_as_text,
            "temperature 168.44, battery '3.91V', level 85, dash '-', lead '007'",
        ),
        Case("a C program in a pipe", kept_back, "lines arrive late, in blocks of 4 kB"),
    ]
