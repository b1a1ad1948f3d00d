"""Options and set-up that several commands share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import click

from lora_post.config import Config, find_config, load_config, load_what_works
from lora_post.decoding.choice import Decoding, decoder_names, mistakes_of, unknown_decoder
from lora_post.decoding.hangs import HangFile, LimitedDecoding, hang_path, watched_loading
from lora_post.decoding.loading import LoadedDecoders, combined, is_folder, load_folder, load_shipped, shipped_folder
from lora_post.decoding.reload import ChangedDecoders, DecoderFolder, LiveDecoding, tell_unit_slips
from lora_post.decoding.time_limit import TimeLimit
from lora_post.decoding.unit_slips import slips_of_device
from lora_post.decoding.unmatched import unmatched
from lora_post.errors import ConfigError
from lora_post.uplink.model import Decode

log = logging.getLogger(__name__)

DRAIN_TIMEOUT_S = 60.0

F = TypeVar("F", bound=Callable[..., Any])

config_option = click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file; default ./lora-post.toml, then /etc/lora-post/lora-post.toml.",
)


def log_options(command: F) -> F:
    """Add -v and -q to a command."""
    command = click.option("-v", "--verbose", is_flag=True, help="Also log details for finding faults.")(command)
    return click.option("-q", "--quiet", is_flag=True, help="Log only what needs attention.")(command)


def drain_timeout_option(when: str) -> Callable[[F], F]:
    """Return the option --drain-timeout. when: what has ended before."""
    return click.option(
        "--drain-timeout",
        type=click.FloatRange(0),
        default=DRAIN_TIMEOUT_S,
        show_default=True,
        metavar="SECONDS",
        help=f"{when}, how long to go on sending what is queued.",
    )


def read_config(path: Path | None) -> Config:
    """Return what works of the named configuration, or the default one.

    Logs its warnings, and the mistakes of devices, which are left out. Raises ConfigError for other mistakes.
    """
    config = load_what_works(path or find_config())
    for warning in (*config.warnings, *config.left_out):
        log.warning("%s", warning)
    return config


def existing_spool(config: Config) -> Path:
    """Return where the spool is.

    Raises ConfigError when there is none yet, or this user may not look.
    """
    path = config.spool_path
    try:
        there = path.exists()
    except OSError as error:
        raise ConfigError(f"spool {path}: {error.strerror}", fix="be the user that `lora-post run` runs as") from error
    if not there:
        raise ConfigError(f"there is no spool at {path} yet", fix="it is made by the first `lora-post run`")
    return path


def optional_config(path: Path | None) -> Config | None:
    """Return the named configuration; else the default one, or None when that cannot be used.

    Raises ConfigError for mistakes in a file that was named.
    """
    if path is not None:
        return load_config(path)
    try:
        found = find_config()
    except ConfigError:
        return None
    try:
        return load_config(found)
    except ConfigError as error:
        log.warning("going on without a configuration: %s", str(error).partition("\n")[0])
        return None


def load_all_decoders(config: Config | None) -> LoadedDecoders:
    """Return the decoders that are shipped, of installed packages, and of the configured folder."""
    from lora_post.decoding.loading import load_installed

    own = (load_folder(config.decoder_folder),) if config and config.decoder_folder else ()
    return combined(load_folder(shipped_folder()), load_installed(), *own)


def no_decoder(word: str, loaded: LoadedDecoders, place: str = "") -> ConfigError:
    """Return what to say to a word that is neither a decoder nor a file of one. place: what comes before it."""
    problem = is_folder(Path(word)) or unknown_decoder(word, loaded.decoders, loaded.faults)
    return ConfigError(f"{place}{problem.what}", fix=problem.fix)


def watch_decoders(hangs: HangFile | None = None) -> TimeLimit:
    """Start what ends decoders that hang, for as long as the command runs.

    hangs: where it is written down when a decoder cannot be ended.
    """
    return click.get_current_context().with_resource(TimeLimit(dump=hangs.file if hangs else None))


def open_hang_file(config: Config) -> HangFile | None:
    """Open the hang file of the spool; warn and return None when it cannot be opened."""
    path = hang_path(config.spool_path)
    try:
        return click.get_current_context().with_resource(closing(HangFile(path)))
    except OSError as error:
        log.warning("%s: %s; a decoder that has to be ended with lora-post is not remembered", path, error.strerror)
        return None


def read_decoding(
    config: Config,
    watch: TimeLimit,
    hangs: HangFile | None = None,
    changed: ChangedDecoders | None = None,
    *,
    is_strict: bool = True,
) -> Decode:
    """Return what decodes uplinks of the devices, and follows changes in the decoder folder.

    hangs: says which decoders are set aside. changed: is told which were loaded again. is_strict: raise ConfigError
    when a device names a decoder that is not there, or options that its decoder refuses; else that is a warning, and
    the payloads of that device are kept.
    """
    folder = DecoderFolder(config.decoder_folder, watched_loading(watch)) if config.decoder_folder else None
    own = folder.load() if folder else LoadedDecoders({}, ())
    names = {name for device in config.devices for name in decoder_names(device)}
    others = load_shipped(names)
    if names - own.decoders.keys() - others.decoders.keys():
        # Looking through all installed packages costs 2 MB: only for a decoder that is nowhere else.
        from lora_post.decoding.loading import load_installed

        others = combined(load_folder(shipped_folder()), load_installed())
    loaded = combined(others, own)
    for problem in loaded.problems:
        log.warning("decoder skipped: %s", problem)
    mistakes = list(mistakes_of(config.devices, loaded.decoders, loaded.faults))
    lines = [f"{config.path}: device {mistake.device}: {mistake.problem}" for mistake in mistakes]
    if lines and is_strict:
        raise ConfigError("\n".join(lines))
    for line in lines:
        log.warning("%s", line)
    for device in config.devices:
        for slip in (*unmatched(device, loaded.decoders), *slips_of_device(device)):
            log.warning("device=%s: %s", slip.device, slip.problem)
    tell_unit_slips(loaded.decoders.values())
    aside = hangs.set_aside(loaded.decoders) if hangs is not None else {}
    decoding = LimitedDecoding(Decoding(config.devices, loaded.decoders), loaded.decoders, watch, aside)
    return LiveDecoding(decoding, others, folder, own, changed=changed) if folder else decoding
