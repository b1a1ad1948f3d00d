"""The log lines that docs/troubleshooting.md quotes, made by the code that writes them."""

from __future__ import annotations

import json
import logging
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory

from lora_post.config import parse_config
from lora_post.decoding import time_limit
from lora_post.decoding.choice import Decoding
from lora_post.decoding.hangs import HangFile
from lora_post.decoding.loading import load_folder, shipped_folder
from lora_post.errors import ConfigError, DecodeError, NotSent, Rejected, SpoolError
from lora_post.formats import FORMATS
from lora_post.formats.guarded import guarded
from lora_post.inputs.byte_streams import open_file
from lora_post.inputs.stream import StreamInput
from lora_post.inputs.udp import UdpInput, bind_udp
from lora_post.lorawan.root_keys import RootKeys
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.lowcost.header import Header, build_header
from lora_post.metrics import Metrics
from lora_post.model import Decoder, Heard, Noise
from lora_post.net.http_client import Answer
from lora_post.run.outcome_log import OutcomeLog
from lora_post.run.pipeline import Pipeline
from lora_post.sinks.sink import nothing_is_sent
from lora_post.sinks.waziup.client import trouble
from lora_post.sinks.waziup.sink import _check_push, _flooded
from lora_post.spool.ledger import MemoryLedger
from lora_post.spool.model import Batch, Lane
from lora_post.spool.rescue import replace_damaged
from lora_post.spool.spool_file import SpoolFile
from lora_post.uplink.unlock import seal_lorawan
from tests.support.build import NOON_US, frame
from tests.support.paths import ROOT
from tests.support.seal import join_request

PAGE = ROOT / "docs" / "troubleshooting.md"
ROW = re.compile(r"^\| `([\w-]+)` \| (?:`.*?`(?:<br>)?)+ \|", re.MULTILINE)
"""The first cells of a row that shows log lines: the reason, and the lines."""
OPENING = re.compile(
    r"^(refused check=\S+ |(skipped .*? )?\(\S+\): (lora-post )?|device=\S+ decoder=\S+ (\w+: (?=\S))?|waziup: )"
)
"""How all lines of a section begin; what follows is shown."""
CELL = 60
KEY = bytes.fromhex("00112233445566778899aabbccddeeff")
KEYS = SessionKeys(KEY, KEY)
POND = 0x26011BDA
BUOY = RootKeys(0x008B1A90C8D4A8B2, 0x70B3D57ED0019A7C, KEY)
SITE = f"""
[gateway]
id = "farm-gateway-1"
[json_lines]
path = "-"
[[device]]
dev_addr = "{POND:08x}"
nwk_skey = "{KEY.hex()}"
app_skey = "{KEY.hex()}"
decoder = "cayenne-lpp"
id = "pond-7"
[[device]]
dev_eui = "{BUOY.dev_eui:016x}"
join_eui = "{BUOY.join_eui:016x}"
app_key = "{KEY.hex()}"
decoder = "cayenne-lpp"
id = "buoy"
[[device]]
address = 6
decoder = "text"
app_keys = ["05060708"]
id = "field-6"
[[device]]
address = 9
nwk_skey = "{KEY.hex()}"
app_skey = "{KEY.hex()}"
decoder = "text"
id = "field-9"
[[device]]
address = 10
decoder = "text"
id = "field-10"
"""


def pond(fcnt: int, payload: str = "0367 0110", dev_addr: int = POND, keys: SessionKeys = KEYS) -> bytes:
    return seal_lorawan(keys, dev_addr, fcnt, 2, bytes.fromhex(payload))


def clear(src: int, payload: bytes, ptype: int = 0x10, seq: int = 1) -> bytes:
    return build_header(Header(1, ptype, src, seq)) + payload


REFUSED: dict[str, Sequence[bytes]] = {
    "frame": [bytes.fromhex("40da1b0126")],
    "unknown-device": [pond(1, dev_addr=0x26011BDB), clear(7, b"TC/22.5")],
    "no-key": [clear(10, b"0123456789abcdef", ptype=0x14)],
    "not-encrypted": [clear(9, b"TC/22.5")],
    "mic": [pond(1, keys=SessionKeys(bytes(16), bytes(16)))],
    "app-key": [clear(6, b"\\!TC/22.5", ptype=0x12), clear(6, b"\\!TC/22.5")],
    "replay": [pond(7), pond(3)],
    "repeat": [pond(7), pond(7), clear(10, b"TC/22.5"), clear(10, b"TC/22.5")],
    "not-uplink": [clear(10, b"", ptype=0x20)],
    "image": [clear(10, bytes.fromhex("ff50000a010a0141"))],
    "join-replay": [join_request(BUOY, 0xA017), join_request(BUOY, 0xA017)],
}
SKIPPED: dict[str, tuple[str, bytes]] = {
    "line-too-long": ("rxpk", b'{"data":"' + b"Q" * 300_000),
    "bad-header": ("lowcost", b"^p1,16,6,0,9,8\n"),
    "no-payload": ("lowcost", b"^p1,16,6,0,9,8,-45\n^p1,16,6,1,9,8,-45\n"),
    "stray-payload": ("lowcost", b"\xff\xfe\\!TC/22.5\n"),
    "damaged": ("capture", b'lora-post-capture 1\nS 0 1772366400000000 {"format":"rak","input":"x"} 00000000\n'),
    "truncated": ("rak", b"+EVT:RXP2P:-57:8:4003"),
    "receive-error": ("rn2483", b"radio_err\r\n"),
    "bad-line": ("lines", b"40" * 300 + b"\n"),
    "bad-record": ("rxpk", b'{"rxpk":[{"data":"QAN?"}]}\n'),
    "crc": ("rxpk", b'{"rxpk":[{"data":"QANcqwEAAAACxT+q1Ckpr7zYNLxj","stat":-1}]}\n'),
    "downlink": ("pcap", (ROOT / "fixtures" / "loratap_v1_be.pcap").read_bytes()),
    "unknown-format": ("auto", b"hello from the radio\n" * 600),
}


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if record.levelno >= logging.WARNING or line.startswith("refused "):  # a repeat is no warning
            self.lines.append(line)


def _logged(act: Callable[[], None]) -> list[str]:
    handler, logger = _Lines(), logging.getLogger("lora_post")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        act()
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
    return handler.lines


def refused(frames: Iterable[bytes], decoders: dict[str, Decoder] | None = None) -> list[str]:
    """What the log of the site has to say of these frames."""
    devices = parse_config(SITE, Path("lora-post.toml"), {}).devices
    decoding = Decoding(devices, decoders or load_folder(shipped_folder()).decoders)
    pipeline = Pipeline(MemoryLedger(devices), decoding.decode, Metrics(), OutcomeLog())
    events: list[Heard] = [frame(each, NOON_US + at) for at, each in enumerate(frames)]
    return _logged(lambda: pipeline.handle(events))


def skipped(name: str, data: bytes) -> list[str]:
    """What the log has to say of these bytes in this format."""
    parser = FORMATS[name]("farm-gateway-1", UTC)
    return _told([*parser.feed(data, NOON_US), *parser.finish(NOON_US)])


def without_frame() -> list[str]:
    """What the log has to say of a file with not one frame in it."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "monday.log")
        path.write_bytes(b"Power ON: state 0\n")
        with closing(StreamInput(open_file(path), FORMATS["lowcost"]("farm-gateway-1", UTC))) as input_:
            events: list[Heard] = []
            while (more := input_.events(0.0)) is not None:
                events += more
    return [line.replace(str(path), path.name) for line in _told(events)]


def skipped_over_a_defect() -> list[str]:
    """What the log has to say of bytes over which a parser fails."""

    class Failing:
        def feed(self, data: bytes, now_us: int) -> Sequence[Heard]:
            raise OverflowError

        finish = feed

    parser = guarded(lambda gateway, zone: Failing())("farm-gateway-1", UTC)
    lines = _told(parser.feed(b'{"stat":{"rxnb":1e999}}\n', NOON_US))
    return [line.replace("troubles.py, feed", "rxpk_json.py, _stat") for line in lines]


def skipped_datagrams() -> Iterator[str]:
    """What the log has to say of a stray datagram, and of a gateway that is not listed."""
    with bind_udp("udp://:0") as listener, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        udp = UdpInput(listener, frozenset({"b827ebfffe6e80a1"}), Metrics(), lambda: 0.0)
        try:
            udp.events(0.0)
            for data in (b"hello", bytes.fromhex("02123400b827ebfffe112233") + json.dumps({"rxpk": []}).encode()):
                sender.sendto(data, listener.getsockname())
                while not (events := udp.events(1.0)):
                    pass
                names = {udp.name: "udp 0.0.0.0:1700", f"127.0.0.1:{sender.getsockname()[1]}": "192.168.1.7:45122"}
                for line in _told(events):
                    yield reduce(lambda text, name: text.replace(*name), names.items(), line)
        finally:
            udp.close()


def undecoded(error: type[DecodeError]) -> list[str]:
    """What the log has to say of a payload that its decoder raises this for, and nothing had been decoded."""

    def decode(payload: bytes, fport: int) -> list[object]:
        raise error(EXAMPLES[error.__name__])

    decoder = Decoder("cayenne-lpp", decode, "", "", "", ())  # type: ignore[arg-type]
    return refused([pond(1)], {"cayenne-lpp": decoder, "text": decoder})


EXAMPLES = {
    "WrongLength": "2 bytes, want 3",
    "WrongFormat": "FPort 5, want 2",
    "BadChecksum": "3a, want 7f",
    "Implausible": "soil moisture 240.0 %",
    "NoReading": "hardware and firmware version",
    "DecoderCrash": "ZeroDivisionError: division by zero",
    "DecoderHang": "decoder hangs: cayenne-lpp gave no result in 2 s (probe.py line 14)",
}


def _told(events: Iterable[Heard]) -> list[str]:
    log = OutcomeLog()
    return _logged(lambda: [log(event) for event in events if isinstance(event, Noise)] and None)


def _sending() -> Iterator[tuple[str, list[str]]]:
    """What the uploader has to say of these answers of a server."""
    where = "sending pond-7/temperature_3"
    for kind, error in (
        ("Unavailable", trouble(where, Answer(429, b"slow down"))),
        ("OutcomeUnknown", trouble(where, Answer(503, b"Service Unavailable"))),
    ):
        yield kind, [f"waziup: waiting to send: {error}"]
    try:
        with nothing_is_sent():
            raise trouble("creating device pond-7", Answer(503, b"Service Unavailable"))
    except NotSent as error:
        yield "NotSent", [f"waziup: waiting to send: {error}"]
    batch = Batch(Lane(1, "pond-7", "temperature_3", "", "", 3), (NOON_US,), (b"27.2",))
    flooded = _flooded(batch.lane, "2026-11-22T23:15:00Z")
    yield "Untold", [f"waziup: parked device=pond-7 sensor=temperature_3: {flooded}"]
    for kind, answer, what in (
        ("Rejected", Answer(403, b"Forbidden"), "parked"),
        ("BatchRefused", Answer(422, b"invalid value"), "refused reading"),
    ):
        try:
            _check_push(batch, answer)
        except Rejected as error:
            yield kind, [f"waziup: {what} device=pond-7 sensor=temperature_3: {error}"]


def _storing() -> Iterator[tuple[str, list[str]]]:
    """What is said of a disk that is full, and of a spool that a card has spoiled."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "spool.db"
        with closing(SpoolFile(path)) as store:
            store.db.execute("PRAGMA max_page_count = 1")
            try:
                with store.transaction() as db:
                    db.execute("CREATE TABLE more AS SELECT randomblob(99999)")
            except SpoolError as error:
                full = f"cannot store readings, input waits: {error}"
        path.write_bytes(b"no database" * 1000)
        damaged = _logged(lambda: SpoolFile(path, replace_damaged).close())
        found = {"SpoolError": [full], "SpoolDamaged": damaged[-1:]}
        for kind, lines in found.items():
            texts = (line.replace(folder, "/var/lib/lora-post") for line in lines)
            yield kind, [re.sub(r"damaged-\w+", "damaged-20261122T231500Z", text) for text in texts]


def _ended() -> list[str]:
    """What is said after a decoder could not be stopped."""
    with TemporaryDirectory() as folder:
        path, file = Path(folder) / "spool.db-hang", Path(folder) / "probe.py"
        file.touch()
        frames = (
            ("re/__init__.py", 173, "fullmatch"),
            (str(file), 14, "decode"),
            (time_limit.__file__, 79, "call"),
        )
        lines = (f'  File "{name}", line {line} in {function}\n' for name, line, function in frames)
        path.write_text("Timeout (0:00:20)!\nThread 0x00007f01 (most recent call first):\n" + "".join(lines))

        def start() -> None:
            with closing(HangFile(path)) as hangs:
                hangs.set_aside(
                    {"probe": Decoder("probe", lambda payload, fport: [], "", "", "", (), origin=str(file))}
                )

        return [line.replace(folder, "/etc/lora-post/decoders") for line in _logged(start)]


def _configuring() -> list[str]:
    try:
        parse_config(SITE + '[waziup]\nusername = "me"\n', Path("lora-post.toml"), {})
    except ConfigError as error:
        return [f"Error: {error}"]
    return []


def log_lines() -> dict[str, list[str]]:
    """The lines of each entry of the page."""
    datagram, gateway = skipped_datagrams()
    found = {check: refused(frames) for check, frames in REFUSED.items()}
    for reason, (name, data) in SKIPPED.items():
        found[reason] = [line for line in skipped(name, data) if f"({reason}): " in line]
    found |= {"no-frame": without_frame(), "defect": skipped_over_a_defect()}
    found |= {"bad-datagram": [datagram], "unknown-gateway": [gateway]}
    ours = [kind for kind in DecodeError.__subclasses__() if kind.__module__ == DecodeError.__module__]
    found |= {kind.__name__: undecoded(kind) for kind in ours}
    found["DecoderHang"] += _ended()
    return found | dict(_sending()) | dict(_storing()) | {"ConfigError": _configuring()}


def refreshed(text: str, lines: dict[str, list[str]]) -> str:
    """The page with these lines in the rows of its tables."""
    return ROW.sub(lambda row: f"| `{row[1]}` | {_cell(lines[row[1]])} |", text)


def _cell(lines: Sequence[str]) -> str:
    """What these lines say behind their opening, without the fix, each cut to a length for a table."""
    told = (OPENING.sub("", line, count=1) for line in lines if not line.startswith("  fix: "))
    return "<br>".join(f"`{line if len(line) <= CELL else f'{line[: CELL - 1]}…'}`" for line in told)
