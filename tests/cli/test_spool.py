from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from lora_post.clocks.scale import boot_zero, now_us
from lora_post.config import load_config
from lora_post.errors import Problem
from lora_post.lorawan.session_keys import SessionKeys
from lora_post.metrics import Metrics
from lora_post.model import Frame, Reading, RxInfo
from lora_post.run.pipeline import Pipeline
from lora_post.sinks.sink import Sink
from lora_post.sinks.waziup.stand_in import ORDERS
from lora_post.spool import undecoded
from lora_post.spool.facts import Facts
from lora_post.spool.ledger import SpoolLedger
from lora_post.spool.model import Batch, Lane
from lora_post.spool.queue import Queue
from lora_post.spool.queue_writer import QueueWriter
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.tallies import add_tally
from lora_post.spool.upkeep import decode_again
from lora_post.times import WallUs
from lora_post.uplink.model import Report
from lora_post.uplink.outcome import Outcome
from lora_post.uplink.unlock import seal_lorawan
from lora_post.upload.uploader import Uploader
from tests.support.build import NOON_US, device, report
from tests.support.command import COMMAND, wait_until
from tests.support.in_process import Ran, harmless, lora_post
from tests.support.lanes import ready_lanes

SINK = "waziup"
LPP = bytes.fromhex("03670110056700ff")
KEY = "00112233445566778899aabbccddeeff"
SITE = f"""
[gateway]
id = "gw1"
[waziup]
provision = "never"
[spool]
path = "spool.db"
[[device]]
dev_addr = "26011bda"
nwk_skey = "{KEY}"
app_skey = "{KEY}"
decoder = "cayenne-lpp"
id = "pond-7"
"""


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lora_post.config.DEFAULT_PATHS", (Path("lora-post.toml"),))
    Path("lora-post.toml").write_text(SITE)
    Path("lora-post.toml").chmod(0o600)


@pytest.fixture
def store() -> Iterator[SpoolFile]:
    """The spool, open as a running lora-post has it."""
    with closing(SpoolFile(Path("spool.db"))) as store:
        yield store


def put(store: SpoolFile, *reports: Report) -> None:
    with store.transaction() as db:
        QueueWriter(store, [SINK], 1 << 30).put(db, reports)


def lanes(store: SpoolFile, of: str = "pond-7") -> dict[str, Lane]:
    return {lane.name: lane for lane in Queue(store, SINK).lanes_of(of)}


def park(store: SpoolFile, name: str, reason: str = "belongs to alice", of: str = "pond-7") -> None:
    Queue(store, SINK).park(lanes(store, of)[name], Problem(reason), NOON_US)


def refuse(store: SpoolFile, name: str, reason: str = "status 400") -> None:
    batch = Queue(store, SINK).claim(lanes(store)[name], 1)
    assert batch is not None
    Queue(store, SINK).refuse(batch, reason)


def queued(store: SpoolFile) -> dict[str, list[object]]:
    """What would be sent, by sensor."""
    reader = Queue(store, SINK)
    batches = {lane.name: reader.claim(lane, 1000) for lane in ready_lanes(reader)}
    return {name: [msgspec.json.decode(value) for value in batch.values] for name, batch in batches.items() if batch}


def unreadable(payload: bytes, *, of: str = "pond-7", decoder: str = "cayenne-lpp", time_us: int = NOON_US) -> Report:
    """A report of a payload that could not be decoded."""
    bad = report(time_us=time_us, of=device(of, decoder=decoder), problem="WrongLength: some other day")
    return msgspec.structs.replace(bad, uplink=msgspec.structs.replace(bad.uplink, payload=payload))


def facts(ran: Ran) -> dict[str, str]:
    """The lines `name  value` at the head of the status."""
    return dict(line.split(None, 1) for line in ran.out.partition("\n\n")[0].splitlines())  # type: ignore[misc]


def test_status_counts_what_is_there(store: SpoolFile) -> None:
    put(store, report(Reading("t", 1), Reading("h", 2)), report(Reading("t", 3), time_us=NOON_US + 1_000_000))
    put(store, unreadable(b"\x01"))
    park(store, "h")
    refuse(store, "t")
    with store.transaction() as db:
        add_tally(db, "evicted", 12)
    ran = lora_post("spool")
    assert ran.code == 0
    assert facts(ran) == {
        "spool": "spool.db",
        "size": "0.0 MB of 256.0 MB",
        "queued": "1 reading",
        "parked": "1 reading",
        "refused": "1 reading",
        "undecoded": "1 payload",
        "evicted": "12 readings so far, because it was full",
        "oldest": "2026-03-01T12:00:00Z",
    }


def test_status_of_an_empty_spool_is_short(store: SpoolFile) -> None:
    ran = lora_post("spool")
    assert (ran.code, facts(ran)["queued"], facts(ran)["oldest"]) == (0, "0 readings", "none")
    assert "\n\n" not in ran.out


def test_status_has_a_line_for_each_sensor_that_waits(store: SpoolFile) -> None:
    put(store, report(Reading("t", 1)), report(Reading("t", 1), Reading("soil m", 2), of=device("field-9")))
    park(store, "soil m", of="field-9")
    out = lora_post("spool").out
    rows = [line.split("  ") for line in out.splitlines() if " waiting" in line]
    assert [[cell.strip() for cell in row if cell.strip()] for row in rows] == [
        ["field-9", "soil~20m", "1 waiting", "0 refused", "parked", "2026-03-01T12:00:00Z"],
        ["field-9", "t", "1 waiting", "0 refused", "queued", "2026-03-01T12:00:00Z"],
        ["pond-7", "t", "1 waiting", "0 refused", "queued", "2026-03-01T12:00:00Z"],
    ]


def test_what_is_held_back_is_shown_with_reason_and_the_command_that_releases_it(store: SpoolFile) -> None:
    put(store, report(Reading("t", 1), Reading("soil m", 2)), unreadable(b"\x01"))
    park(store, "soil m", "device pond-7 belongs to alice")
    refuse(store, "t", "status 400: too long")
    Path("lora-post.toml").rename("my site.toml")
    out = lora_post("spool", "-c", "my site.toml").out
    for text in (
        "device pond-7 belongs to alice",
        "lora-post spool retry 'pond-7/soil~20m' -c 'my site.toml'",
        "status 400: too long",
        "pond-7/t: 1 reading refused, the first of 2026-03-01T12:00:00Z: 1\n",
        "it is tried again by itself after a day",
        "lora-post spool drop pond-7/t -c",
        "lora-post spool retry pond-7/t -c 'my site.toml'",
        "WrongLength: some other day",
        "lora-post spool retry pond-7 -c 'my site.toml'",
    ):
        assert text in out


def held(out: str) -> list[list[str]]:
    """The parts of the status about what is held back."""
    return [part.splitlines() for part in out.split("\n\n")[2:]]


def test_sensors_of_one_device_that_are_held_back_for_one_reason_are_shown_together(store: SpoolFile) -> None:
    put(store, report(Reading("t", 1), Reading("soil m", 2), Reading("h", 3)), report(Reading("t", 4), of=device("x")))
    for name, of in (("t", "pond-7"), ("soil m", "pond-7"), ("h", "pond-7"), ("t", "x")):
        park(store, name, "device belongs to alice", of=of)
    pond, other = held(lora_post("spool").out)
    assert re.fullmatch(r"pond-7: 3 readings of 3 sensors held back since \S+", pond[0])
    assert pond[1:] == [
        "  h, soil~20m, t",
        "  device belongs to alice",
        "  it is tried again by itself after a day",
        "  when that is put right: lora-post spool retry pond-7",
        "  to give it up: lora-post spool drop pond-7",
    ]
    assert other[0].startswith("x/t: 1 reading held back since ")


def test_commands_about_a_part_of_a_device_name_its_sensors(store: SpoolFile) -> None:
    put(store, report(Reading("a", 1), Reading("b", 2), Reading("c", 3)))
    for name in ("a", "b"):
        park(store, name, "this value is too long")
    refuse(store, "c", "status 400")
    parts = held(lora_post("spool").out)
    assert [part[0].partition(":")[0] for part in parts] == ["pond-7", "pond-7/c"]
    commands = [line.partition(": ")[2] for line in parts[0][-4:]]
    assert commands == [f"lora-post spool {word} pond-7/{name}" for word in ("retry", "drop") for name in "ab"]


def test_retry_releases_one_sensor_by_its_waziup_id(store: SpoolFile) -> None:
    put(store, report(Reading("t", 1), Reading("soil m", 2)))
    park(store, "t")
    park(store, "soil m")
    ran = lora_post("spool", "retry", "pond-7/soil~20m")
    assert ran == Ran(0, "1 reading released, to be sent by `lora-post run`\n", "")
    assert queued(store) == {"soil m": [2]}


def test_retry_releases_a_sensor_by_its_own_name_also_when_it_holds_a_slash(store: SpoolFile) -> None:
    put(store, report(Reading("air/°C", 1)))
    park(store, "air/°C")
    assert lora_post("spool", "retry", "pond-7/air/°C").code == 0
    assert queued(store) == {"air/°C": [1]}


def test_retry_releases_one_device_or_everything(store: SpoolFile) -> None:
    put(store, report(Reading("t", 1), Reading("h", 2)), report(Reading("t", 3), of=device("field-9")))
    for name, of in (("t", "pond-7"), ("t", "field-9")):
        park(store, name, of=of)
    refuse(store, "h")
    assert lora_post("spool", "retry", "pond-7").out.startswith("2 readings released")
    assert queued(store) == {"t": [1], "h": [2]}
    assert lora_post("spool", "retry").out.startswith("1 reading released")


def test_running_uploader_sends_what_was_released(store: SpoolFile) -> None:
    class Accepting(Sink):
        def __init__(self) -> None:
            self.values: list[bytes] = []

        def send(self, batch: Batch) -> None:
            self.values += batch.values

        def stored(self, batch: Batch, since_us: WallUs) -> list[int]:
            return []

    put(store, report(Reading("t", 1)))
    Queue(store, SINK).park(lanes(store)["t"], Problem("belongs to alice"), now_us())
    sink = Accepting()
    uploader = Uploader(Queue(store, SINK), sink, Metrics())
    uploader.step()
    assert sink.values == []
    lora_post("spool", "retry")

    def sent() -> object:
        uploader.step()
        return sink.values

    wait_until(sent, "what was released is not sent")  # what others did is looked for the later the slower the machine
    assert sink.values == [b"1"]


def test_device_of_another_gateway_is_taken_over_by_name(store: SpoolFile) -> None:
    put(store, report(Reading("t", 1), Reading("h", 2)))
    for name in ("t", "h"):
        park(store, name, "gateway first sends the readings of device pond-7")
    ran = lora_post("spool", "take-over", "pond-7")
    assert ran.out.startswith(
        "2 readings released, to be sent by `lora-post run`, which makes pond-7 name this gateway"
    )
    assert Facts(store, ORDERS).recall() == {"pond-7": "yes"}
    assert Queue(store, SINK).counts().parked == 0
    unknown = lora_post("spool", "take-over", "pond-77")
    assert (unknown.code, "no [[device]] has the id 'pond-77'" in unknown.err) == (2, True)


def test_retry_decodes_again_with_the_original_time(store: SpoolFile) -> None:
    put(store, unreadable(LPP), unreadable(b"\x01", time_us=NOON_US + 1))
    ran = lora_post("spool", "retry")
    assert ran.code == 0
    assert "1 payload decoded, with 2 readings\n" in ran.out
    assert "1 payload of pond-7 still cannot be decoded: WrongLength" in ran.out
    assert queued(store) == {"temperature_3": [27.2], "temperature_5": [25.5]}
    batch = Queue(store, SINK).claim(lanes(store)["temperature_3"], 10)
    assert batch is not None
    assert batch.times_us == (NOON_US,)
    assert lanes(store)["temperature_3"].unit == "°C"
    (left,) = undecoded.load(store)
    assert left.payload == b"\x01"
    assert "stray byte" in left.problem


def test_retry_decodes_again_only_the_device_that_is_named(store: SpoolFile) -> None:
    put(store, unreadable(LPP), unreadable(LPP, of="field-9"), report(Reading("x", 1)))
    assert "1 payload decoded" in lora_post("spool", "retry", "pond-7").out
    assert [row.device for row in undecoded.load(store)] == ["field-9"]
    assert "decoded" not in lora_post("spool", "retry", "pond-7/x").out
    assert "1 payload decoded" in lora_post("spool", "retry", "field-9").out


def test_payloads_are_read_as_the_configuration_says_today(store: SpoolFile) -> None:
    put(store, unreadable(LPP, decoder="of-yesterday"), unreadable(LPP, of="gone", decoder="text"))
    out = lora_post("spool", "retry").out
    assert "1 payload decoded, with 2 readings" in out
    assert "1 payload of gone still cannot be decoded: WrongFormat" in out


def test_decoding_again_is_all_or_nothing(store: SpoolFile) -> None:
    put(store, unreadable(LPP), unreadable(LPP, time_us=NOON_US + 1))
    calls = iter([report(Reading("t", 1))])
    with pytest.raises(StopIteration):
        decode_again(store, QueueWriter(store, [SINK], 1 << 30), undecoded.load(store), lambda row: next(calls))
    assert len(undecoded.load(store)) == 2
    assert queued(store) == {}


def test_decoding_again_keeps_the_spool_within_its_bound(store: SpoolFile) -> None:
    put(store, *[unreadable(LPP, time_us=NOON_US + n) for n in range(200)])
    big = "x" * 20_000
    decode_again(
        store,
        QueueWriter(store, [SINK], 1 << 20),
        undecoded.load(store),
        lambda row: report(Reading("t", big), time_us=row.time_us),
    )
    assert undecoded.load(store) == []
    assert store.used_bytes() <= 1 << 20


def test_drop_deletes_what_is_held_back_and_leaves_the_queue(store: SpoolFile) -> None:
    put(store, report(Reading("t", 1), Reading("h", 2)), report(Reading("h", 3), time_us=NOON_US + 1), unreadable(LPP))
    park(store, "t")
    refuse(store, "h")
    assert lora_post("spool", "drop", "pond-7/t", "--yes").out == "1 reading deleted\n"
    assert lora_post("spool", "drop", "--all", "--yes").out == "1 reading deleted\n"
    assert queued(store) == {"h": [3]}
    assert len(undecoded.load(store)) == 1


def test_drop_deletes_undecoded_payloads_of_a_device_or_of_all(store: SpoolFile) -> None:
    put(store, report(Reading("t", 1)), unreadable(LPP), unreadable(LPP, of="barn"), unreadable(LPP, of="field-9"))
    park(store, "t")
    assert "give them up: lora-post spool drop barn --undecoded" in lora_post("spool").out
    assert "1 payload would be deleted" in lora_post("spool", "drop", "barn", "--undecoded", stdin=b"y\n").err
    assert lora_post("spool", "drop", "barn", "--undecoded", "--yes").out == "1 payload deleted\n"
    assert [row.device for row in undecoded.load(store)] == ["pond-7", "field-9"]
    assert lora_post("spool", "drop", "--all", "--undecoded", "--yes").out == "2 payloads deleted\n"
    assert lora_post("spool", "drop", "--all", "--undecoded").out == "every payload there was decoded\n"
    assert Queue(store, SINK).counts().parked == 1


def test_drop_of_nothing_says_so(store: SpoolFile) -> None:
    put(store, report(Reading("t", 1)))
    ran = lora_post("spool", "drop", "pond-7")
    assert ran == Ran(0, "nothing is parked or refused there\n", "")


def test_drop_without_a_terminal_wants_to_be_told_twice(store: SpoolFile) -> None:
    put(store, report(Reading("t", 1)))
    park(store, "t")
    ran = lora_post("spool", "drop", "--all", stdin=b"y\n")
    assert ran.code == 2
    assert "1 reading would be deleted, and there is no terminal to ask on; add --yes" in ran.err
    assert Queue(store, SINK).counts().parked == 1


@pytest.mark.parametrize(("answer", "left"), [(b"n\n", 1), pytest.param(b"y\n", 0, marks=pytest.mark.long)])
def test_drop_on_a_terminal_asks_first(store: SpoolFile, answer: bytes, left: int) -> None:
    put(store, report(Reading("t", 1)))
    park(store, "t")
    ours, terminal = os.openpty()
    os.write(ours, answer)
    process = subprocess.Popen([COMMAND, "spool", "drop", "pond-7"], stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = _read_all(ours)
    os.close(ours)
    process.wait()
    assert b"Delete 1 reading for good?" in shown
    assert Queue(store, SINK).counts().parked == left


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["retry", "pond-8"], 1, "the spool holds nothing of device 'pond-8'"),
        (["retry", "pond-7/x"], 1, "the spool has no sensor 'x' of pond-7; it has soil~20m, t"),
        (["drop", "pond-8/t"], 1, "the spool holds nothing of device 'pond-8'"),
        (["drop"], 2, "name a DEVICE or DEVICE/SENSOR, or give --all"),
        (["drop", "pond-7", "--all"], 2, "name a DEVICE or DEVICE/SENSOR, or give --all"),
        (["drop", "pond-7/t", "--undecoded"], 2, "is of no sensor: name the DEVICE alone"),
        (["drop", "--destination", "mqtt", "--undecoded"], 2, "--undecoded goes with a DEVICE or --all"),
        (["shrink"], 2, "No such command 'shrink'"),
    ],
)
def test_mistake_is_named_with_what_there_is(store: SpoolFile, arguments: list[str], code: int, complaint: str) -> None:
    put(store, report(Reading("t", 1), Reading("soil m", 2)))
    ran = lora_post("spool", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert complaint in ran.err


@pytest.mark.parametrize("arguments", [[], ["retry"], ["drop", "--all"]])
def test_spool_that_is_not_there_yet_is_not_made(arguments: list[str]) -> None:
    ran = lora_post("spool", *arguments)
    assert ran.code == 2
    assert "there is no spool at spool.db yet" in ran.err
    assert not Path("spool.db").exists()


def test_configuration_may_be_named_before_or_after_the_word(store: SpoolFile) -> None:
    put(store, report(Reading("t", 1)))
    Path("lora-post.toml").rename("site.toml")
    assert lora_post("spool", "-c", "site.toml", "retry").code == 0
    assert lora_post("spool", "retry", "-c", "site.toml").code == 0
    assert lora_post("spool", "retry").code == 2


def test_names_and_reasons_from_outside_cannot_command_the_terminal(store: SpoolFile) -> None:
    put(store, report(Reading("t\x1b[2J", 1)), report(problem="\x1b]0;x\x07"))
    park(store, "t\x1b[2J", "\x1b[31m\x9b")
    for colours in ({}, {"FORCE_COLOR": "1"}):
        assert harmless(lora_post("spool", **colours).out)
        assert harmless(lora_post("spool", "retry", **colours).out)


def _read_all(terminal: int) -> bytes:
    shown = b""
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:  # the end of a terminal whose last process has gone
            return shown
        if not data:
            return shown
        shown += data


def accept(store: SpoolFile, fcnt: int) -> str:
    """What becomes of a frame of the device at a running lora-post."""
    config = load_config(Path("lora-post.toml"))
    outcomes: list[Outcome] = []
    ledger = SpoolLedger(store, config.devices, QueueWriter(store, [SINK], 1 << 30))
    keys = SessionKeys(bytes.fromhex(KEY), bytes.fromhex(KEY))
    phy = seal_lorawan(keys, 0x26011BDA, fcnt, 2, LPP)
    Pipeline(ledger, lambda uplink: Report(uplink, ()), Metrics(), outcomes.append).handle(
        [Frame("gw1", NOON_US, phy, RxInfo())]
    )
    return type(outcomes[0]).__name__


def test_device_is_accepted_again_after_its_counter_was_reset(store: SpoolFile) -> None:
    assert [accept(store, fcnt) for fcnt in (900, 0)] == ["Report", "Refusal"]
    ran = lora_post("spool", "reset-counter", "pond-7", "--yes")
    assert ran.code == 0 and "next frame of pond-7 is accepted" in ran.out
    assert accept(store, 0) == "Report"


def test_reset_of_a_device_that_was_never_heard_says_so(store: SpoolFile) -> None:
    assert "no counter to forget" in lora_post("spool", "reset-counter", "pond-7", "--yes").out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(["pond-8", "--yes"], "did you mean 'pond-7'?"), (["pond-7"], "add --yes"), ([], "DEVICE")],
)
def test_reset_counter_says_what_is_wrong(arguments: list[str], complaint: str, store: SpoolFile) -> None:
    ran = lora_post("spool", "reset-counter", *arguments)
    assert ran.code == 2 and complaint in ran.err


def test_status_says_which_times_are_estimated(store: SpoolFile) -> None:
    assert "estimated" not in lora_post("spool").out
    with store.transaction() as db:
        db.execute("INSERT INTO boot VALUES ('boot-1', 1, 3600000000, ?, 14, 7200000000)", (NOON_US,))
    assert facts(lora_post("spool"))["times"] == (
        "14 readings up to 2026-03-01T13:00:00Z with estimated times: the gateway restarted before it learned "
        "the time; they may be up to 120 min older"
    )


def test_reading_whose_time_is_not_known_yet_is_shown_as_waiting(store: SpoolFile) -> None:
    put(store, report(Reading("t", 1), time_us=boot_zero(1) + 5))
    ran = lora_post("spool")
    assert facts(ran)["oldest"] == "unknown"
    assert facts(ran)["queued"] == "1 reading"
    assert queued(store) == {}


def test_what_the_schedule_holds_back_is_said(store: SpoolFile) -> None:
    hour = time.localtime().tm_hour
    closed = f"{(hour + 11) % 24:02}:00-{(hour + 13) % 24:02}:00"
    Path("lora-post.toml").write_text(SITE + f'\n[upload]\nschedule = ["{closed}"]\n')
    assert "held       [upload] schedule: it is not the time to send" in lora_post("spool").out
