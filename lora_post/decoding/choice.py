"""Which decoder serves which device: what the configuration says, put together once.

The choice goes by device and FPort, never by what a payload looks like.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from lora_post.decoding.decode import configured, decode, expect
from lora_post.decoding.sensor_rules import shape
from lora_post.errors import ConfigError, DecodeError, Problem
from lora_post.model import CodecFunction, DecodeFunction, Decoder, Device, Reading
from lora_post.text import bare_word, did_you_mean
from lora_post.uplink.model import Report, Uplink

NO_FAULTS: Final[Mapping[str, Problem]] = {}


class Mistake(Struct, frozen=True):
    """Why a device cannot be decoded as it is configured."""

    device: str
    problem: Problem


class Choice(Struct, frozen=True):
    """The decoders of one device by name, with its options."""

    decoders: Mapping[str, Decoder]


class Decoding:
    """Decodes uplinks with the decoder that is configured for their device and FPort.

    Devices that are not among `devices`, such as those that have left the configuration, are served
    as they describe themselves.
    """

    def __init__(self, devices: Sequence[Device], decoders: Mapping[str, Decoder]) -> None:
        self._devices = tuple(devices)
        self._choices: dict[str, Choice] = {}
        self.use(decoders)

    def use(self, decoders: Mapping[str, Decoder], faults: Mapping[str, Problem] = NO_FAULTS) -> list[Mistake]:
        """Decode with these from now on; returns what is wrong with them for the devices.

        faults: of those that could not be loaded.
        A device whose new decoder refuses its options keeps the one that it has.
        """
        mistakes: list[Mistake] = []
        before = self._choices
        choices = {
            device.id: choose(device, decoders, mistakes, before.get(device.id), faults) for device in self._devices
        }
        self._decoders = decoders
        self._choices = choices
        self._has_codecs = any(isinstance(decoder.decode, CodecFunction) for decoder in decoders.values())
        # Nearly every device: one decoder and nothing else, found with one look.
        self._only = {
            device.id: choices[device.id].decoders[device.decoder]
            for device in self._devices
            if not _has_rules(device) and not device.decoder_by_fport and device.decoder in choices[device.id].decoders
        }
        return mistakes

    def expect(self, uplinks: Sequence[Uplink]) -> None:
        """Note uplinks that `decode` will soon be called with: JavaScript codecs take several at once."""
        for uplink in uplinks if self._has_codecs and len(uplinks) > 1 else ():
            expect(uplink, self._decoder_of(uplink))

    def decode(self, uplink: Uplink) -> Report:
        """Decode an uplink: its readings, or the problem. Never raises."""
        decoder = self._only.get(uplink.device.id)
        if decoder is not None:
            return decode(uplink, decoder)
        report = decode(uplink, self._decoder_of(uplink))
        return shape(report, uplink.device) if _has_rules(uplink.device) else report

    __call__ = decode

    def _decoder_of(self, uplink: Uplink) -> Decoder | None:
        device = uplink.device
        choice = self._choices.get(device.id) or choose(device, self._decoders, [])
        return choice.decoders.get(device.decoder_for(uplink.fport))


def choose(
    device: Device,
    decoders: Mapping[str, Decoder],
    mistakes: list[Mistake],
    before: Choice | None = None,
    faults: Mapping[str, Problem] = NO_FAULTS,
) -> Choice:
    """Return the decoders of a device with its options; add what is wrong to `mistakes`.

    A device with several decoders hands its options to those that have options, at least one.
    A decoder that refuses them is the one of `before`, or one that fails for this reason.
    """
    found: dict[str, Decoder] = {}
    for name in decoder_names(device):
        decoder = decoders.get(name)
        if decoder is None:
            mistakes.append(Mistake(device.id, unknown_decoder(name, decoders, faults)))
        else:
            found[name] = decoder
    takers = [name for name, decoder in found.items() if decoder.configure is not None] or list(found)
    for name in takers if device.options else ():
        try:
            found[name] = replace(found[name], decode=configured(found[name], device.options))
        except ConfigError as error:
            mistakes.append(Mistake(device.id, Problem(f"options: {error.what}", error.fix or "correct the options")))
            old = before.decoders.get(name) if before else None
            found[name] = old or replace(found[name], decode=_refusing(error.problem.at("options")))
    return Choice(found)


def _has_rules(device: Device) -> bool:
    return bool(device.sensors or device.only or device.drop)


def _refusing(why: Problem) -> DecodeFunction:
    def refuse(payload: bytes, fport: int) -> list[Reading]:
        raise DecodeError(why.what, fix=why.fix)

    return refuse


def unknown_decoder(name: str, decoders: Iterable[str], faults: Mapping[str, Problem]) -> Problem:
    """Return what to say to a name that no decoder has: the fault of its file, else which names there are."""
    if fault := faults.get(bare_word(name)):
        return Problem(f"decoder {name!r} could not be loaded: {fault.what}", fault.fix or "correct the file")
    return Problem(f"there is no decoder {name!r}", did_you_mean(name, decoders, "lora-post decoders"))


def decoder_names(device: Device) -> list[str]:
    """Return the names of the decoders that a device is configured with, each once."""
    return list(dict.fromkeys(name for name in (device.decoder, *device.decoder_by_fport.values()) if name))


def mistakes_of(
    devices: Sequence[Device], decoders: Mapping[str, Decoder], faults: Mapping[str, Problem] = NO_FAULTS
) -> Iterator[Mistake]:
    """Yield what is wrong with the decoders and options of these devices."""
    for device in devices:
        mistakes: list[Mistake] = []
        choose(device, decoders, mistakes, faults=faults)
        yield from mistakes
