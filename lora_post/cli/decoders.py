"""`lora-post decoders`"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
from msgspec.structs import replace

from lora_post.captures.expected import check_captures
from lora_post.cli._decoders_try import try_decoder
from lora_post.cli._log import set_up_log
from lora_post.cli._options import config_option, load_all_decoders, log, no_decoder, optional_config, watch_decoders
from lora_post.cli._output import print_table, say
from lora_post.decoding.encode import check_encoder
from lora_post.decoding.examples import Difference, Failure, check_decoder
from lora_post.decoding.hangs import watched_loading
from lora_post.decoding.javascript.published import encoder_examples, published_examples
from lora_post.decoding.javascript.source import DECODES
from lora_post.decoding.loading import names_file, shipped_folder
from lora_post.decoding.skeleton import skeleton
from lora_post.decoding.time_limit import TimeLimit
from lora_post.decoding.unit_slips import slips_of_decoder
from lora_post.errors import ConfigError, DecoderCrash, Problem
from lora_post.model import Decoder, EncodeExample, Reading
from lora_post.text import plural

HEADERS = ("Name", "Vendor", "Model", "From", "Examples", "Source")
DIFFERENCE_HEADERS = ("Reading", "Expected", "Got")
EXIT_FAILED = 1


@click.group(name="decoders", invoke_without_command=True)
@config_option
@click.pass_context
def command(context: click.Context, config_path: Path | None) -> None:
    """List the device types that can be decoded, add one, test one.

    Without a further word it lists them. The name is what a [[device]] gives as its decoder. Those of
    installed packages and of the configured folder are listed too, and go before shipped ones of the
    same name:

    \b
        lora-post decoders
        lora-post decoders -c lora-post.toml

    To add a device type, start with `lora-post decoders new`. A file that cannot be loaded is reported
    on stderr.
    """
    set_up_log(verbose=False, quiet=True)
    context.obj = config_path
    if context.invoked_subcommand is not None:
        return
    loaded = load_all_decoders(optional_config(config_path))
    print_table(HEADERS, [_row(decoder) for _, decoder in sorted(loaded.decoders.items())])
    for problem in loaded.problems:
        log.warning("decoder skipped: %s", problem)


@command.command(name="new")
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to put it; default: the folder that [decoders] names.",
)
@click.option("--js", "is_codec", is_flag=True, help="In JavaScript, as makers publish it; its examples beside it.")
@config_option
@click.pass_obj
def new(group_path: Path | None, name: str, folder: Path | None, is_codec: bool, config_path: Path | None) -> None:
    """Write a decoder file to start from.

    NAME is what a [[device]] will give as its decoder: small letters, digits and dashes. The file is
    complete and its examples pass; put your device's layout and payloads in their place. Nothing is
    overwritten.

    \b
        lora-post decoders new kijani-sm3
        lora-post decoders new kijani-sm4 --js
        lora-post decoders new kijani-sm3 --folder .
    """
    files = skeleton(name, is_codec=is_codec)
    config = optional_config(config_path or group_path)
    if folder is None:
        folder = config.decoder_folder if config else None
    if folder is None:
        raise ConfigError(
            "there is no folder for it", fix='add [decoders] folder = "…" to the configuration, or --folder DIR'
        )
    paths = [folder / file for file in files]
    others = [folder / file for file in skeleton(name, is_codec=not is_codec)]
    for path in [*paths, *others]:  # of two files with one name, `run` would take one
        if path.exists():
            raise ConfigError(f"{path} is there already", fix="choose another name, or delete it first")
    for path, text in zip(paths, files.values(), strict=True):
        _write_new(path, text)
    path = paths[0]
    shown = shlex.quote(str(path if "/" in str(path) else f"./{path}"))
    for each in paths:
        say(f"written   {each}")
    say(f"test      lora-post decoders test {shown}")
    say(f"try       lora-post decode --payload 017D08FC0C1C --fport 2 --decoder {shown}")
    if config is not None and config.decoder_folder is not None and config.decoder_folder.resolve() == folder.resolve():
        say(f'use       decoder = "{name}" in a [[device]]')


def _write_new(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None


@command.command(name="test")
@click.argument("which", metavar="[NAME|FILE]", required=False)
@click.option(
    "--fixtures",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder with captures; default: fixtures/ beside the decoder's folder.",
)
@config_option
@click.pass_obj
def test(group_path: Path | None, which: str | None, fixtures: Path | None, config_path: Path | None) -> None:
    """Run the examples of one decoder, or of all.

    Each example's payload is decoded, with its options, and what comes out is held against what the
    example says. The same goes for captured frames: each NAME.FORMAT in the folder with captures whose
    devices (NAME.toml, or devices.toml) use the decoder is replayed, and held against NAME.expected.json,
    {"uplinks": [what `lora-post replay --dry-run` prints, line by line]}. A JavaScript codec's examples are those
    beside it: NAME.examples.json, The Things Stack's *-codec.yaml, ChirpStack's test_decode_NAME.json. Exit code 0
    when all agree; 1 when one differs, when a decoder shows no example, or when a file cannot be loaded.

    \b
        lora-post decoders test
        lora-post decoders test cayenne-lpp
        lora-post decoders test decoders/kijani_sm3.py --fixtures captures
    """
    watch = watch_decoders()
    decoders, problems = _find(which, config_path or group_path, watch)
    known = load_all_decoders(optional_config(config_path or group_path)).decoders if decoders else {}
    good = not problems
    for problem in problems:
        say(f"{'FAIL':<6}{problem}", fg="red")
    for decoder in decoders:
        good &= _test_published(decoder, watch)
        folder = fixtures or _fixtures_beside(decoder)
        if folder is not None:
            good &= _test_captures(decoder, folder, known)
    raise SystemExit(0 if good else EXIT_FAILED)


command.add_command(try_decoder)


def _find(which: str | None, config_path: Path | None, watch: TimeLimit) -> tuple[list[Decoder], tuple[Problem, ...]]:
    """Return the decoders to test, and what could not be loaded. Raises ConfigError."""
    if which is not None and (names_file(which) or Path(which).is_file()):
        try:
            return [watched_loading(watch)(Path(which))], ()
        except DecoderCrash as crash:
            return [], (crash.problem,)
    loaded = load_all_decoders(optional_config(config_path))
    if which is None:
        return [decoder for _, decoder in sorted(loaded.decoders.items())], loaded.problems
    if which not in loaded.decoders:
        raise no_decoder(which, loaded)
    return [loaded.decoders[which]], ()


def _test_published(decoder: Decoder, watch: TimeLimit) -> bool:
    """Do what `_test` does, with the examples that are published beside a codec, too."""
    try:
        encodes = _test_encoder(decoder, encoder_examples(decoder))
        if decoder.functions and not set(decoder.functions) & set(DECODES):
            say(f"ok    {decoder.name}: for downlinks only ({', '.join(decoder.functions)}), nothing to decode")
            return encodes
        return _test(replace(decoder, examples=[*decoder.examples, *published_examples(decoder)]), watch) and encodes
    except DecoderCrash as crash:
        say(f"FAIL  {decoder.name}: {crash}", fg="red")
        return False


def _test(decoder: Decoder, watch: TimeLimit) -> bool:
    """Print how the examples of one decoder went; return whether all came true."""
    count = len(decoder.examples)
    if not count:
        say(f"FAIL  {decoder.name}: it shows no example, so nothing says that it works ({decoder.origin})", fg="red")
        say(f"      fix: {_how_to_show(decoder)}")
        return False
    for problem in slips_of_decoder(decoder):
        say(f"warn  {decoder.name}: {problem}", fg="yellow")
    failures = check_decoder(decoder, watch)
    if not failures:
        say(f"ok    {decoder.name}: {plural(count, 'example')}")
        return True
    say(f"FAIL  {decoder.name}: {len(failures)} of {plural(count, 'example')} ({decoder.origin})", fg="red")
    for failure in failures:
        _show(failure)
    return False


def _how_to_show(decoder: Decoder) -> str:
    """Say how an example of a decoder is written; that of a codec is in a file beside it."""
    if not decoder.functions:
        return 'give DECODER examples=[Example("0B45", fport=2, gives=[Reading("temperature", 28.85, "°C")])]'
    example = '[{"input": {"bytes": "0B45", "fPort": 2}, "output": {"data": {"temperature": 28.85}}}]'
    return f"write {Path(decoder.origin).with_suffix('.examples.json')}: {example}"


def _test_encoder(decoder: Decoder, examples: Sequence[EncodeExample]) -> bool:
    """Print how the examples of a decoder's encoder went, where there are any; return whether all came true."""
    failures = check_encoder(decoder, examples)
    if examples and not failures:
        say(f"ok    {decoder.name}: {plural(len(examples), 'example')} of its encoder")
    for line in failures:
        say(f"FAIL  {decoder.name}: {line}", fg="red")
    return not failures


def _fixtures_beside(decoder: Decoder) -> Path | None:
    file = Path(decoder.origin)
    folder = file.absolute().parent.parent / "fixtures"
    return folder if file.is_file() and folder.is_dir() else None


def _test_captures(decoder: Decoder, folder: Path, known: Mapping[str, Decoder]) -> bool:
    """Print how the captured frames of one decoder went; return whether all are as expected."""
    results = list(check_captures(folder, {**known, decoder.name: decoder}, decoder.name))
    for result in results:
        if result.differences:
            say(f"FAIL  {decoder.name}: {result.capture}; - expected, + got", fg="red")
            for line in result.differences:
                say(f"  {line}")
    frames = sum(result.frames for result in results if not result.differences)
    if frames:
        say(f"ok    {decoder.name}: {plural(frames, 'captured frame')} in {folder}")
    return not any(result.differences for result in results)


def _show(failure: Failure) -> None:
    example = failure.example
    options = f", options {example.options}" if example.options else ""
    say(f"  example {failure.number}: payload {example.payload or '(empty)'}, FPort {example.fport}{options}")
    for complaint in failure.complaints:
        say(f"    {complaint}")
    if failure.differences:
        print_table(DIFFERENCE_HEADERS, [row for each in failure.differences for row in _difference_rows(each)])


def _difference_rows(difference: Difference) -> Iterator[tuple[str, ...]]:
    """Yield the value, and whatever else differs."""
    expected, got = difference.expected, difference.got
    if expected is None or got is None:
        yield f"    {difference.name}", _expected(_value(expected)), _got(_value(got))
        return
    if _value(expected) != _value(got):
        yield f"    {difference.name}", _expected(_value(expected)), _got(_value(got))
    for field in ("channel", "quantity", "age_s", "at_s"):
        one, other = getattr(expected, field), getattr(got, field)
        if one != other:
            yield f"    {difference.name} {field}", _expected(repr(one)), _got(repr(other))


def _expected(text: str) -> str:
    return f"expected {text}"


def _got(text: str) -> str:
    return f"got {text}"


def _value(reading: Reading | None) -> str:
    """Return value and unit, the value as Python writes it: 5 is not 5.0."""
    if reading is None:
        return "nothing"
    text = json.dumps(reading.value, ensure_ascii=False) if isinstance(reading.value, str) else repr(reading.value)
    return f"{text} {reading.unit}".rstrip()


def _row(decoder: Decoder) -> tuple[str, ...]:
    shipped = Path(decoder.origin).parent == shipped_folder()
    memory = f" ({decoder.memory_bytes >> 10} KiB in use)" if decoder.memory_bytes else ""
    origin = "shipped" if shipped else f"{decoder.origin}{memory}"
    return decoder.name, decoder.vendor, decoder.model, origin, plural(len(decoder.examples), "example"), decoder.source
