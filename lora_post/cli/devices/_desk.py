"""What the sub-commands work with: the configuration, the decoders, the frames of strangers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path

from lora_post.cli._options import load_all_decoders
from lora_post.cli._output import say
from lora_post.config import Config, examine_config, find_config, load_config
from lora_post.decoding.choice import mistakes_of
from lora_post.decoding.loading import LoadedDecoders
from lora_post.errors import ConfigError, Problem, SpoolError
from lora_post.explain.trial import Trial, decoding_of, opened_text, try_device
from lora_post.lorawan.join_messages import parse_join_request
from lora_post.lorawan.session_keys import SessionKeys11
from lora_post.model import Decoder, Device, Frame, Link, RxInfo
from lora_post.spool import strangers, undecoded
from lora_post.spool.spool_file import SpoolFile
from lora_post.spool.strangers import KEEP_FRAMES, Stranger
from lora_post.spool.undecoded import Undecoded
from lora_post.text import bare_word, did_you_mean, plural
from lora_post.uplink.joins import is_join


class Desk:
    """A configuration, and what is known beside it. path: of the configuration. mistakes: what is left out of it."""

    def __init__(self, path: Path, config: Config, mistakes: tuple[Problem, ...] = ()) -> None:
        self.path = path
        self.config = config
        self.mistakes = mistakes

    def say_mistakes(self) -> None:
        """Print what is left out of the configuration, and why."""
        for mistake in self.mistakes:
            say(f"mistake   {mistake.what}", fg="red")
            if mistake.fix:
                say(f"fix       {mistake.fix}")

    @cached_property
    def loaded(self) -> LoadedDecoders:
        """All decoders that there are, and those that could not be loaded."""
        return load_all_decoders(self.config)

    @property
    def decoders(self) -> Mapping[str, Decoder]:
        """All decoders that there are."""
        return self.loaded.decoders

    @cached_property
    def strangers(self) -> list[Stranger]:
        """Those whose frames are kept, the one heard last first; none where the spool cannot be read."""
        try:
            if not self.config.spool_path.exists():
                return []
            with closing(SpoolFile(self.config.spool_path)) as spool_file:
                return strangers.load(spool_file)
        except (SpoolError, OSError) as error:
            say(f"note      frames of strangers cannot be read: {error}")
            return []

    @cached_property
    def undecoded(self) -> list[Undecoded]:
        """The last few payloads of each device that could not be decoded, with their frames; none without a spool."""
        try:
            if not self.config.spool_path.exists():
                return []
            with closing(SpoolFile(self.config.spool_path)) as spool_file:
                rows = [row for row in undecoded.load(spool_file) if row.phy_payload]
        except (SpoolError, OSError):
            return []  # told with the strangers
        by_device: dict[str, list[Undecoded]] = {}
        for row in rows:
            by_device.setdefault(row.device, []).append(row)
        return [row for kept in by_device.values() for row in kept[-KEEP_FRAMES:]]

    def join_eui_of(self, dev_eui: str) -> str:
        """Return the JoinEUI that a device with this DevEUI asks for, 16 hex digits; "" when that was not heard."""
        heard = next((each for each in self.strangers if each.sender == dev_eui and is_join(each.last)), None)
        return f"{parse_join_request(heard.last.phy_payload).join_eui:016x}" if heard else ""

    def decoder_like(self, name: str) -> str:
        """Return the decoder that a name surely means, whatever its capitals and dashes; "" for none."""
        same = [each for each in self.decoders if bare_word(each) == bare_word(name)]
        return same[0] if len(same) == 1 else ""

    def device(self, name: str) -> Device:
        """Return the device with this id. Raises ConfigError."""
        devices = {device.id: device for device in self.config.devices}
        if name not in devices:
            raise ConfigError(
                f"no [[device]] has the id {name!r}", fix=did_you_mean(name, devices, "lora-post devices")
            )
        return devices[name]

    def try_device(self, device: Device) -> Trial:
        """Try a device on all frames that are kept: those of strangers, and its own that could not be decoded."""
        frames = [frame for stranger in self.strangers for frame in stranger.frames]
        frames += [Frame(self.config.gateway_id, row.time_us, row.phy_payload, RxInfo()) for row in self.undecoded]
        return try_device(device, frames, decoding_of(device, self.decoders))

    def check_decoders(self, devices: Iterable[Device]) -> None:
        """Raise ConfigError when a decoder of these devices is not there, or refuses their options."""
        found = [
            f"device {each.device}: {each.problem}"
            for each in mistakes_of(tuple(devices), self.decoders, self.loaded.faults)
        ]
        if found:
            raise ConfigError("\n".join(found))


def open_desk(config_path: Path | None) -> Desk:
    """Read the named configuration, or the default one. Raises ConfigError."""
    path = config_path or find_config()
    return Desk(path, load_config(path))


def look_at_desk(config_path: Path | None) -> Desk:
    """Do what `open_desk` does, for who only looks: a configuration with mistakes is opened without them."""
    path = config_path or find_config()
    config, mistakes = examine_config(path)
    if config is None:
        raise ConfigError("\n".join(map(str, mistakes)))
    return Desk(path, config, mistakes)


def kind_text(device: Device) -> str:
    """Return how a device is activated or encrypts: `ABP 1.0`, `OTAA`, `AES`."""
    if device.link is Link.SERVER:
        return "behind a server"
    if device.root is not None:
        return "OTAA 1.1" if device.root.is_11 else "OTAA 1.0"
    if device.link is Link.LORAWAN:
        return "ABP 1.1" if isinstance(device.keys, SessionKeys11) else "ABP 1.0"
    ciphers = [name for name, key in (("AES", device.keys), ("LSC", device.lsc)) if key is not None]
    return " and ".join(ciphers) or "in clear"


def say_behind_server(devices: Sequence[Device], instead: str) -> None:
    """Say how many devices were added as behind a network server, which may be a slip.

    instead: what to do for one that joins here.
    """
    count = sum(device.link is Link.SERVER for device in devices)
    if count:
        text = f"{plural(count, 'device')} without keys, as behind a network server that decrypts the frames"
        say(f"note      {text}; for one that joins here, {instead}")


def say_trial(trial: Trial) -> bool:
    """Print what came of a trial; returns whether all is well, or there was no frame to try."""
    for outcome in trial.opened:
        say(f"tried     {opened_text(outcome)}", fg="green")
    problem = trial_problem(trial)
    if problem is not None:
        say(f"tried     {problem.what}", fg="red")
        say(f"fix       {problem.fix}")
    return problem is None


def trial_problem(trial: Trial) -> Problem | None:
    """Return why frames that were kept do not open, or make no sense; None when all is well or nothing was kept."""
    if trial.mistake is not None:
        return trial.mistake
    return trial.shut[-1].problem if trial.shut and not trial.opened else None
