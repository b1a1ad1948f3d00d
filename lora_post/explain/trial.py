"""Try the keys and the decoder of a device on frames that were refused: a stranger becomes a device.

The counter of such a frame may be any, so each costs up to 2,000 CMACs: for what a person asks, not for what is heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from lora_post.clocks.scale import is_unknown
from lora_post.decoding.choice import Decoding
from lora_post.errors import FrameError, Problem, UnlockError
from lora_post.explain.frame import open_frame
from lora_post.model import Decoder, Device, Frame, Link, Reading
from lora_post.times import StampUs
from lora_post.uplink.diagnosis import diagnose, diagnose_payload
from lora_post.uplink.join_state import Join, Joiner
from lora_post.uplink.joins import hear_join
from lora_post.uplink.model import Decode, Refusal, Report, Session, Uplink
from lora_post.uplink.senders import claimed_sender

MAX_SHOWN: Final = 4
"""So many readings of a frame are named."""


class Trial(Struct, frozen=True):
    """What came of trying a device on the frames that have its address, oldest first.

    opened: what the keys open. shut: those that they do not, with the reason. Both empty: nothing of it was kept.
    mistake: in keys or addresses, found by trying, also on frames of other addresses.
    """

    opened: tuple[Report | Join, ...] = ()
    shut: tuple[Refusal, ...] = ()
    mistake: Problem | None = None


def try_device(device: Device, frames: Iterable[Frame], decode: Decode) -> Trial:
    """Return what the keys of a device open, and what its decoder reads.

    frames: of any sender; those with the address of the device are tried, the others tell usual mistakes.
    decode: see `decoding_of`.
    """
    kept = tuple(frames)
    opened: list[Report | Join] = []
    shut: list[Refusal] = []
    for frame in kept:
        if claimed_sender(frame) == device.address_text:
            outcome = _try(device, frame)
            if isinstance(outcome, Refusal):
                shut.append(outcome)
            else:
                opened.append(decode(outcome) if isinstance(outcome, Uplink) else outcome)
    return Trial(tuple(opened), tuple(shut), _mistake(device, kept, opened, decode))


def _mistake(
    device: Device, frames: Iterable[Frame], opened: Sequence[Report | Join], decode: Decode
) -> Problem | None:
    """Return what is wrong with a device: nothing where frames open, and the newest and most of them can be decoded."""
    if not opened:
        found = next((each for frame in frames if (each := diagnose(frame, (device,)))), None)
        return found.problem if found else None
    reports = [each for each in opened if isinstance(each, Report) and device.decoder_for(each.uplink.fport)]
    unread = [report for report in reports if report.problem is not None]
    if not unread or (unread[-1] is not opened[-1] and 2 * len(unread) < len(reports)):
        return None
    guesses = {diagnose_payload(report.uplink, decode) for report in unread}
    return (guesses.pop() if len(guesses) == 1 else None) or Problem(
        f"{device.id}: the MIC fits, so its network key is right, and the payload makes no sense",
        "correct app_skey, or name another decoder",
    )


def _try(device: Device, frame: Frame) -> Uplink | Join | Refusal:
    if device.root is not None:
        try:
            return hear_join(frame, {device.root.dev_eui: Joiner(device)})[0]
        except (FrameError, UnlockError) as error:
            return Refusal.of(frame, error)
    outcome, _ = open_frame(frame, lambda link, address: _session(device, link, address))
    return outcome


def _session(device: Device, link: Link, address: int) -> list[Session]:
    return [Session(device)] if (device.link, device.address) == (link, address) else []


def decoding_of(device: Device, decoders: Mapping[str, Decoder]) -> Decode:
    """Return what decodes the uplinks of one device as it is configured."""
    return Decoding((device,), decoders).decode


def decoders_for(trial: Trial, decoders: Mapping[str, Decoder]) -> Iterator[tuple[str, tuple[Reading, ...]]]:
    """Yield the decoders that read all opened payloads, with what the newest says; no decoder was named."""
    uplinks = [report.uplink for report in trial.opened if isinstance(report, Report)]
    for name in sorted(decoders) if uplinks else ():
        plain = [replace(each.device, decoder=name, decoder_by_fport={}, options={}, sensors=()) for each in uplinks]
        decoding = Decoding((), {name: decoders[name]})
        reports = [decoding.decode(replace(one, device=each)) for one, each in zip(uplinks, plain, strict=True)]
        if all(report.problem is None and not report.warnings for report in reports) and reports[-1].readings:
            yield name, reports[-1].readings


def opened_text(outcome: Report | Join) -> str:
    """Return what was opened in one line: `these keys open the frame of 2026-03-01 10:41, FCnt 17; with …`."""
    if isinstance(outcome, Join):
        return f"the key fits the {outcome.message} of {clock_text(outcome.frame.time_us)}, {outcome.detail}"
    uplink = outcome.uplink
    what = f"of {clock_text(uplink.frame.time_us)}, FCnt {uplink.fcnt}"
    opens = f"these keys open the frame {what}" if uplink.authentic else f"the frame {what}, proves nothing"
    decoder = uplink.device.decoder_for(uplink.fport)
    if not decoder:
        return opens
    if outcome.problem is not None:
        return f"{opens}; with {decoder}: {outcome.problem}"
    return f"{opens}; with {decoder} it reads {readings_text(outcome.readings)}"


def readings_text(readings: Iterable[Reading]) -> str:
    """Return the first readings in words: `temperature 22.5 °C, humidity 40 %`."""
    shown = [f"{each.name} {_value(each)}".rstrip() for each in readings]
    more = f" and {len(shown) - MAX_SHOWN} more" if len(shown) > MAX_SHOWN else ""
    return (", ".join(shown[:MAX_SHOWN]) or "nothing") + more


def _value(reading: Reading) -> str:
    value = str(reading.value).lower() if isinstance(reading.value, bool) else str(reading.value)[:40]
    return f"{value} {reading.unit}"


def clock_text(time_us: StampUs) -> str:
    """Return a time by the clock of this machine, to the minute."""
    if is_unknown(time_us):
        return "an unknown time"
    return datetime.fromtimestamp(time_us // 1_000_000).astimezone().strftime("%Y-%m-%d %H:%M")
