"""`lora-post decode`"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from shlex import quote
from typing import BinaryIO

import click
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lora_post.cli._decode_desk import Desk, stand_in
from lora_post.cli._explained import NO_FRAME, UNNAMED, explanation_json, show_frame, show_payload
from lora_post.cli._hand_keys import HandKeys, key_options, read_hand_keys
from lora_post.cli._log import set_up_log
from lora_post.cli._options import config_option, load_all_decoders, log, no_decoder, optional_config, watch_decoders
from lora_post.cli._output import complain, print_json
from lora_post.clocks.scale import parse_utc
from lora_post.decoding.hangs import watched_loading
from lora_post.decoding.loading import LoadedDecoders, names_file
from lora_post.decoding.time_limit import TimeLimit
from lora_post.errors import BadMIC, ConfigError, DecoderCrash, FrameError
from lora_post.explain.frame import Explanation, Mic, explain
from lora_post.model import Decoder, Frame, Link, RxInfo
from lora_post.text import MAX_TEXT, Spelled, Spelling, parse_bytes
from lora_post.times import WallUs
from lora_post.uplink.diagnosis import diagnose, diagnose_payload
from lora_post.uplink.join_state import Join
from lora_post.uplink.model import Refusal, Report, Uplink
from lora_post.uplink.outcome_json import metadata_json, outcome_json, reading_json

EXIT_NOT_EXPLAINED = 1
DEFAULT_FPORT = 1
STDIN = "-"
EMPTY_PAYLOAD = "-"


@click.command(name="decode")
@click.argument("given", metavar="HEX|BASE64|-", nargs=-1, required=True)
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each frame or payload.")
@key_options
@click.option(
    "--decoder",
    "decoder_name",
    metavar="NAME|FILE",
    help="What reads the payload: one of `lora-post decoders`, or a .py, .js or .txt file. Default: as configured.",
)
@click.option("--payload", "is_payload", is_flag=True, help="A clear application payload is given, not a frame.")
@click.option(
    "--fport",
    type=click.IntRange(0, 255),
    help=f"With --payload: the FPort it came on.  [default: {DEFAULT_FPORT}]",
)
@click.option(
    "--time",
    "received",
    metavar="TIME",
    help="When it was received, as 2026-03-01T12:00:00Z: what a codec gets as recvTime.  [default: now]",
)
def command(
    given: tuple[str, ...],
    config_path: Path | None,
    as_json: bool,
    decoder_name: str | None,
    is_payload: bool,
    fport: int | None,
    received: str | None,
    **keys: str | None,
) -> None:
    """Explain one frame or payload.

    Shows every field, whether the MIC is right, which device the frame belongs to, its clear payload and
    its readings. Keys and devices come from the configuration, where there is one, or are given here:

    \b
        lora-post decode 40035cab0100000002c53faad42929afbcd834bc63 \\
            --nwk-skey 000102030405060708090a0b0c0d0e0f \\
            --app-skey f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff --decoder cayenne-lpp
        lora-post decode 007c9a01d07ed5b370b2a8d4c8901a8b0017a073fac78a \\
            --app-key d84259acb354ca38d9b1bbeee638e5cf
        lora-post decode --payload 03670110056700ff --decoder cayenne-lpp --fport 2

    Hex may have blanks, colons and 0x; base64 may be URL-safe and without padding; what could be both is
    taken for hex. `-` reads one frame a line from stdin; with --payload one `FPORT PAYLOAD` a line, where
    `-` is the empty payload. Nothing is stored, and every frame is judged as the first of its device. --json also has
    the frame's fields and the verdict on its MIC.

    Exit code 0 when everything was explained; 1 when something is not a frame or has a BAD MIC under
    the keys at hand; 2 when an option or the configuration is wrong.
    """
    set_up_log(verbose=False, quiet=True)
    if fport is not None and (not is_payload or given == (STDIN,)):
        raise click.UsageError("--fport goes with one --payload; frames and lines from stdin have their own")
    config = optional_config(config_path)
    loaded = load_all_decoders(config)
    for problem in loaded.problems:
        log.warning("decoder skipped: %s", problem)
    watch = watch_decoders()
    decoder = _find_decoder(decoder_name, loaded, watch) if decoder_name is not None else None
    desk = Desk(
        gateway=config.gateway_id if config else "",
        devices=config.devices if config else (),
        decoders=loaded.decoders | {decoder.name: decoder} if decoder else loaded.decoders,
        decoder=decoder.name if decoder else None,
        keys=read_hand_keys(keys),
        alone=config is None,
        received_us=_time(received),
        watch=watch,
    )
    explain_item: Callable[[Desk, Item, bool], bool] = _explain_payload if is_payload else _explain_frame
    good = [
        explain_item(desk, item, as_json)
        for item in _items(given, is_payload=is_payload, fport=DEFAULT_FPORT if fport is None else fport)
    ]
    raise SystemExit(0 if all(good) else EXIT_NOT_EXPLAINED)


class Item(Struct, frozen=True):
    """A frame or payload to explain. place: where it is, as "line 3: ". error: why it cannot be."""

    place: str
    text: str
    fport: int
    error: str = ""


def _items(given: tuple[str, ...], *, is_payload: bool, fport: int) -> Iterator[Item]:
    if given != (STDIN,):
        yield Item("", " ".join(given), fport)
        return
    for number, line in enumerate(_lines(sys.stdin.buffer), start=1):
        if not line.strip():
            continue
        place = f"line {number}: "
        if not is_payload:
            yield Item(place, line, fport)
            continue
        words = line.split(None, 1)
        if len(words) == 2 and re.fullmatch(r"[0-9]{1,3}", words[0], re.ASCII) and int(words[0]) < 256:
            yield Item(place, "" if words[1].strip() == EMPTY_PAYLOAD else words[1], int(words[0]))
        else:
            yield Item(place, "", fport, "want an FPort (0 to 255), a blank, and the payload as hex or -")


def _lines(stream: BinaryIO) -> Iterator[str]:
    """Yield lines of any bytes; one that is far too long for a frame is cut."""
    limit = 2 * MAX_TEXT
    while line := stream.readline(limit):
        whole = line.endswith(b"\n")
        yield line.decode("utf-8", "replace")
        while not whole and (rest := stream.readline(limit)):
            whole = rest.endswith(b"\n")


def _explain_frame(desk: Desk, item: Item, as_json: bool) -> bool:
    """Print what a frame is; return False when it is not a frame, or its MIC is BAD."""
    frame = Frame(desk.gateway, desk.time_us, b"", RxInfo())
    try:
        spelled = parse_bytes(item.text)
        frame = replace(frame, phy_payload=spelled.data)
        find = partial(desk.sessions, spelled.data)
        joiners = [device for device in desk.devices if device.root is not None]
        found = explain(frame, find, joiners, desk.asker(spelled.data))
    except FrameError as error:
        read_as = " (read as base64)" if frame.phy_payload and spelled.spelling is Spelling.BASE64 else ""
        if as_json:
            print_json(
                NO_FRAME | _frame_json(Refusal(frame, error.check, f"{item.place}{error.what}{read_as}", fix=error.fix))
            )
        else:
            advice = _about_file(item.text, "-") or "for a clear payload add --payload"
            complain(f"{item.place}{error}{read_as}; {advice}")
        return False
    outcome = desk.report(found.outcome) if isinstance(found.outcome, Uplink) else found.outcome
    outcome = _diagnosed(desk, found, outcome)
    if as_json:
        print_json(_frame_json(outcome) | explanation_json(found))
    else:
        show_frame(found, outcome, item.place, hint_keys=desk.keys == HandKeys())
    return found.mic is not Mic.BAD


def _about_file(text: str, lines: str) -> str:
    """Say how a file is read that was given in place of what is in it; "" for what is not one.

    lines: the options with which its lines are read.
    """
    with suppress(OSError):  # a name that is too long for one
        if Path(text).is_file():
            name = quote(text)
            return f"it is a file: `lora-post replay {name}`; its lines alone: `lora-post decode {lines} < {name}`"
    return ""


def _diagnosed(desk: Desk, found: Explanation, outcome: Report | Refusal | Join) -> Report | Refusal | Join:
    """Return the outcome with the usual mistake in keys or addresses behind it, if there is one."""
    if isinstance(outcome, Report) and outcome.problem is not None:
        problem = diagnose_payload(outcome.uplink, desk.report)
        return replace(outcome, problem=f"{outcome.problem}; {problem}") if problem else outcome
    if not isinstance(outcome, Refusal) or found.mic is Mic.OK:
        return outcome
    mistake = diagnose(outcome.frame, desk.suspects(outcome.frame.phy_payload))
    if mistake is not None:
        return replace(outcome, detail=mistake.problem.what, fix=mistake.problem.fix)
    is_of_hand = desk.keys != HandKeys() and outcome.check == BadMIC.check
    return replace(outcome, fix="if it is every frame, these are not the keys of its device") if is_of_hand else outcome


def _frame_json(outcome: Report | Refusal | Join) -> dict[str, object]:
    """Return the JSON object of an uplink, null for what only a configuration could tell."""
    unknown = {"gateway": "", "device": UNNAMED, "decoder": ""}
    return {key: None if unknown.get(key) == value else value for key, value in outcome_json(outcome).items()}


def _explain_payload(desk: Desk, item: Item, as_json: bool) -> bool:
    """Print what a clear payload says; return False when it cannot be read at all."""
    try:
        if item.error:
            raise FrameError(item.error)
        spelled = parse_bytes(item.text) if item.text else Spelled(b"", Spelling.HEX)
    except FrameError as error:
        if as_json:
            print_json({"data": None, "readings": [], "warnings": [], "errors": [f"{item.place}{error}"]})
        else:
            complain("; ".join(filter(None, (f"{item.place}{error}", _about_file(item.text, "--payload -")))))
        return False
    device = replace(stand_in(Link.LORAWAN, 0, None), decoder=desk.decoder or "")
    uplink = Uplink(Frame(desk.gateway, desk.time_us, b"", RxInfo()), device, 0, item.fport, spelled.data, False)
    report = desk.report(uplink)
    if as_json:
        print_json(_payload_json(report))
    else:
        show_payload(report, item.place, spelled.spelling)
    return True


def _payload_json(report: Report) -> dict[str, object]:
    """Return the JSON object of a payload.

    data: the object that a codec itself makes of it. metadata, left_out: by name; not there when empty.
    """
    time_us = report.uplink.frame.time_us
    metadata = metadata_json(report.metadata)
    left_out = {left.name: left.why for left in report.left_out}
    apart = {"metadata": metadata, "left_out": left_out}
    return {
        "data": _plain(report.data),
        "readings": [reading_json(reading, time_us) for reading in report.readings],
        **{key: names for key, names in apart.items() if names},
        "warnings": list(report.warnings),
        "errors": [report.problem] if report.problem else [],
    }


def _plain(data: object) -> object:
    """Return the data of a decoder, None when it cannot be written as JSON."""
    try:
        msgspec.json.encode(data)
    except (TypeError, ValueError, RecursionError):
        return None
    return data


def _find_decoder(name: str, loaded: LoadedDecoders, watch: TimeLimit) -> Decoder:
    """Return a decoder by name or by file. Raises ConfigError."""
    if name in loaded.decoders:
        return loaded.decoders[name]
    if names_file(name):
        try:
            return watched_loading(watch)(Path(name))
        except DecoderCrash as crash:
            raise ConfigError(f"--decoder: {crash.what}", fix=crash.fix) from crash
    raise no_decoder(name, loaded, "--decoder: ")


def _time(text: str | None) -> WallUs | None:
    """Return the time given by hand, UTC where it names no zone. Raises ConfigError."""
    if text is None:
        return None
    try:
        return parse_utc(text if re.search(r"(?:[Zz]|[-+][0-9]{2}:?[0-9]{2})\Z", text) else f"{text}Z")
    except (ValueError, OverflowError):
        raise ConfigError(f"--time: {text!r} is not a time", fix="write it as 2026-03-01T12:00:00Z") from None
