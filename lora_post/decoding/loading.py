"""Decoders: find them and load them, from files and from installed packages.

One that fails is reported, and the others are there. A package announces its decoders with entry points, each of
which names a `Decoder`, or a module with a `DECODER`:

    [project.entry-points."lora_post.decoders"]
    kijani-sm3 = "kijani_decoders.sm3"

Source: Python Packaging User Guide, "Entry points specification".
"""

from __future__ import annotations

import importlib.util
import logging
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache, partial
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from lora_post.decoding.decode import kind_of, message_of
from lora_post.decoding.javascript.source import MAX_FILE, is_codec
from lora_post.decoding.time_limit import Overrun
from lora_post.errors import DecoderCrash, Problem
from lora_post.model import Decoder
from lora_post.text import bare_word, some_of
from lora_post.trust import replaceable_by_others

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

log = logging.getLogger(__name__)

CODEC_SUFFIXES: Final = (".js", ".txt")
ENTRY_POINTS: Final = "lora_post.decoders"
_MOVED: Final = {
    "lora_post.lpp": "lora_post.payloads.lpp",
    "lora_post.flatten": "lora_post.payloads.flatten",
    "lora_post.payload_values": "lora_post.payloads.json_cbor",
    "lora_post.codec_names": "lora_post.payloads.codec_names",
    "lora_post.vendor_formats": "lora_post.payloads",
}
_no_name: Final = re.compile(r"cannot import name '(\w+)' from '(lora_post)'").match


class LoadedDecoders(Struct, frozen=True):
    """Decoders by name, and one line for each file that was skipped.

    faults: the same lines by the name that the decoder would have, as `bare_word`.
    """

    decoders: dict[str, Decoder]
    problems: tuple[Problem, ...]
    faults: Mapping[str, Problem] = {}


def shipped_folder() -> Path:
    """Return the folder of lora-post's decoders: in the package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "decoders"
    return installed if installed.is_dir() else package.parent / "decoders"


def combined(*all_loaded: LoadedDecoders) -> LoadedDecoders:
    """Return all of them; a later decoder replaces an earlier one of the same name."""
    decoders: dict[str, Decoder] = {}
    for loaded in all_loaded:
        for name in sorted(loaded.decoders.keys() & decoders.keys()):
            log.info("decoder=%s: %s replaces %s", name, loaded.decoders[name].origin, decoders[name].origin)
        decoders |= loaded.decoders
    problems = tuple(problem for loaded in all_loaded for problem in loaded.problems)
    faults = {name: fault for loaded in all_loaded for name, fault in loaded.faults.items()}
    return LoadedDecoders(decoders, problems, faults)


def decoder_files(folder: Path) -> list[Path]:
    """Return the decoder files of a folder, sorted; `_…` are not decoders. Raises OSError.

    A `.txt` file, as Dragino publishes codecs, is one when it has a codec's functions.
    """
    return sorted(path for path in folder.iterdir() if not path.name.startswith("_") and _is_decoder_file(path))


def _is_decoder_file(path: Path) -> bool:
    if path.suffix != ".txt":
        return path.suffix in (".py", ".js")
    try:
        status = path.stat()
        return _has_codec(path, status.st_size, status.st_mtime_ns)
    except OSError:
        return False


@lru_cache(maxsize=256)
def _has_codec(path: Path, size: int, _changed_ns: int) -> bool:
    """Tell whether a text file has a codec's functions. Raises OSError."""
    return size <= MAX_FILE and is_codec(path.read_text(encoding="utf-8", errors="replace"))


def load_shipped(names: Collection[str]) -> LoadedDecoders:
    """Load only these decoders of lora-post: `cayenne-lpp` is in cayenne_lpp.py."""
    return load_folder(shipped_folder(), wanted=lambda path: path.stem.replace("_", "-") in names)


def load_folder(
    folder: Path, load: Callable[[Path], Decoder] | None = None, wanted: Callable[[Path], bool] = lambda path: True
) -> LoadedDecoders:
    """Load every wanted decoder file of a folder. load: `load_decoder` if not given.

    A file that fails, or has a name that its folder has already, is skipped and reported.
    """
    try:
        paths = decoder_files(folder)
    except OSError as error:
        return LoadedDecoders({}, (Problem(f"{folder}: {error.strerror}"),))
    return _collect((path.stem, partial(load or load_decoder, path)) for path in paths if wanted(path))


def load_installed() -> LoadedDecoders:
    """Load the decoders of all installed packages, by their entry points.

    One that fails, or whose name is taken, is skipped and reported.
    """
    from importlib.metadata import entry_points  # only for a decoder that is not in a file

    entries = sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: (_package(entry), entry.name))
    return _collect((entry.name, partial(_load_entry, entry)) for entry in entries)


def _collect(loads: Iterable[tuple[str, Callable[[], Decoder]]]) -> LoadedDecoders:
    """Load decoders; each comes with the name that it would have if it cannot be loaded."""
    found: dict[str, Decoder] = {}
    problems: list[Problem] = []
    faults: dict[str, Problem] = {}
    for name, load in loads:
        try:
            decoder = load()
        except DecoderCrash as crash:
            problems.append(crash.problem)
            faults[bare_word(name)] = crash.problem
            continue
        if decoder.name in found:
            taken = f"{decoder.origin}: the name {decoder.name!r} is taken by {found[decoder.name].origin}"
            problems.append(Problem(taken))
            continue
        found[decoder.name] = decoder
    return LoadedDecoders(found, tuple(problems), faults)


class _FreshLoader(SourceFileLoader):
    """Compiles each time: the cache tells files by second and size, and people edit faster."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def names_file(text: str) -> bool:
    """Tell whether a word on the command line is a decoder's file, not its name."""
    return "/" in text or text.endswith((".py", *CODEC_SUFFIXES))


def is_folder(path: Path) -> Problem | None:
    """Return what to say where a folder is given in place of a decoder's file; None for anything else."""
    try:
        names = [file.name for file in decoder_files(path)]
    except OSError:
        return None
    fix = f"name one of its files: {some_of(names)}" if names else "`lora-post decoders new` writes a decoder"
    return Problem(f"{path} is a folder", fix)


def load_decoder(path: Path) -> Decoder:
    """Load the `DECODER` of a Python file, or a JavaScript codec.

    Raises DecoderCrash with path and cause, also for a file that others could change or replace.
    """
    if not path.exists():
        raise DecoderCrash(f"there is no file {path}")
    if (folder := is_folder(path)) is not None:
        raise DecoderCrash(folder.what, fix=folder.fix)
    fault = replaceable_by_others(path) if path.parent != shipped_folder() else None
    if fault is not None:
        raise DecoderCrash(f"{path} is not loaded: {fault.what}", fix=fault.fix)
    if path.suffix in CODEC_SUFFIXES:
        from lora_post.decoding.javascript.codec import load_js_codec  # the engine is for sites that have codecs

        return load_js_codec(path)
    name = str(path)  # in sys.modules, where a module that can be imported is never called so
    loader = (SourceFileLoader if path.parent == shipped_folder() else _FreshLoader)(name, name)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if path.suffix != ".py" or spec is None or spec.loader is None:
        raise DecoderCrash(f"{path}: not a .py, .js or .txt file")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit, Overrun) as error:  # the decoder boundary: a stranger's file
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before  # the decoder that was loaded from it may go on
        raise DecoderCrash(f"{path}: {message_of(error)}", fix=_moved(error)) from error
    return _checked(getattr(module, "DECODER", None), str(path))


def _load_entry(entry: EntryPoint) -> Decoder:
    origin = f"{_package(entry)}: {entry.value}"
    try:
        thing = entry.load()
    except (Exception, SystemExit) as error:  # the decoder boundary: a stranger's package
        raise DecoderCrash(f"{origin}: {message_of(error)}", fix=_moved(error)) from error
    return _checked(getattr(thing, "DECODER", None) if isinstance(thing, ModuleType) else thing, origin)


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "?"


def _moved(error: BaseException) -> str:
    """Return where a module of lora-post is that has moved, "" for any other failure to import."""
    if not isinstance(error, ImportError):
        return ""
    name = f"{member[2]}.{member[1]}" if (member := _no_name(str(error))) else error.name or ""
    return f"{name} is {_MOVED[name]} now (docs/decoders.md says what decoders may import)" if name in _MOVED else ""


def _checked(decoder: object, origin: str) -> Decoder:
    """Return what a module has as its `DECODER`. Raises DecoderCrash when it is not a Decoder."""
    if type(decoder) is not Decoder:
        fault = f"DECODER is {kind_of(decoder)}, want a Decoder" if decoder else "no DECODER"
        raise DecoderCrash(f"{origin}: {fault}")
    if type(decoder.name) is not str or not decoder.name or not callable(decoder.decode):
        raise DecoderCrash(f"{origin}: DECODER needs a name and a function to decode")
    texts = (decoder.vendor, decoder.model, decoder.source)
    if any(type(text) is not str for text in texts) or not isinstance(decoder.examples, (list, tuple)):
        raise DecoderCrash(f"{origin}: DECODER needs texts for vendor, model and source, and a list of examples")
    if decoder.configure is not None and not callable(decoder.configure):
        raise DecoderCrash(f"{origin}: DECODER's configure is {kind_of(decoder.configure)}, want a function or None")
    return replace(decoder, origin=origin)
