"""A codec's own values and those of its `normalizeUplink`, each value once.

Which of the codec's own values a normalised one comes from is known by trial: the engine changes one of
them after the other, and sees what changes in the normalised payload. So neither equal values nor zeros, which
many codecs do not normalise, lead astray.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from lora_post.results.measurements import Measurement, name_at
from lora_post.results.trials import Effect, Leaf, Path, Trial

_CLOSE: Final = 1e-9
_TIME_DEPTH: Final = 2  # of a measurement's time: in the payload, or in one of its list


class Merged(Struct, frozen=True):
    """All measurements of a payload, each once. own: the codec's others. told: those that a normalised one tells."""

    normalized: list[Measurement]
    own: list[Measurement]
    told: list[tuple[Measurement, str]]


def merge(own: Sequence[Measurement], normalized: Sequence[Measurement], trials: Sequence[Trial]) -> Merged:
    """Return the normalised measurements, and those of the codec's own that they do not tell.

    A normalised name that comes twice at one time, as of two probes, keeps to the first; the other goes by its own.
    """
    sources = _sources(trials)
    taken: set[tuple[str, float | None]] = set()
    kept: list[Measurement] = []
    names = {source: "the time" for path, source in sources.items() if path[-1] == "time" and len(path) <= _TIME_DEPTH}
    for measurement in (*normalized, *_zeros(own, normalized, trials)):
        place = measurement.name, measurement.time_s
        source = sources.get(measurement.path)
        if place in taken and source is not None:
            continue
        taken.add(place)
        kept.append(measurement)
        if source is not None:
            names.setdefault(source, measurement.name)
    times = {measurement.time_s for measurement in normalized}
    time_s = times.pop() if len(times) == 1 else None
    rest = [m if m.time_s is not None else replace(m, time_s=time_s) for m in own if m.path not in names]
    return Merged(kept, rest, [(m, names[m.path]) for m in own if m.path in names])


def _sources(trials: Sequence[Trial]) -> dict[Path, Path]:
    """Return the own value that each normalised value is, by path.

    One that two own values make is one of them where it follows that one in proportion, else something new.
    """
    makers: dict[Path, list[tuple[Trial, Effect]]] = {}
    for trial in trials:
        for effect in trial.effects:
            makers.setdefault(effect.path, []).append((trial, effect))
    found: dict[Path, Path] = {}
    for path, made in makers.items():
        alone = [(trial, effect) for trial, effect in made if _tells(trial, effect)]
        if len(made) == 1 and alone:
            found[path] = made[0][0].path
        else:
            found.update((path, trial.path) for trial, effect in made if _in_proportion(trial, effect))
    return found


def _tells(trial: Trial, effect: Effect) -> bool:
    """Tell whether nothing is lost with the own value: a yes or no says less than a number."""
    shown = effect.before if effect.before is not None else effect.after
    if isinstance(shown, bool) != isinstance(trial.before, bool):
        return False
    if effect.before is None:
        return _is_zero(trial.before) and _in_proportion(trial, effect)
    return effect.after is not None or isinstance(trial.before, str) or effect.before == trial.before


def _in_proportion(trial: Trial, effect: Effect) -> bool:
    if effect.before is None:
        return _is_zero(trial.before) and _is_power_of_ten(effect.after, trial.after)
    numbers = (trial.before, trial.after, effect.before, effect.after)
    if not all(_is_number(number) for number in numbers):
        return trial.before == effect.before and trial.after == effect.after
    own, changed, shown, shown_changed = map(float, numbers)  # type: ignore[arg-type]
    return abs(own * shown_changed - changed * shown) <= _CLOSE * max(abs(own * shown_changed), abs(changed * shown))


def _zeros(
    own: Sequence[Measurement], normalized: Sequence[Measurement], trials: Sequence[Trial]
) -> Iterable[Measurement]:
    """Yield the zeros that are not normalised because a codec asks `if (value)`, under their normalised names."""
    there = {measurement.path for measurement in normalized}
    values = {measurement.path: measurement for measurement in own}
    for trial in trials:
        zero = values.get(trial.path)
        if zero is None or not _is_zero(trial.before):
            continue
        for effect in trial.effects:
            if effect.before is None and effect.path not in there and _tells(trial, effect):
                yield replace(zero, path=effect.path, name=name_at(effect.path), unit="")


def _is_zero(value: Leaf | None) -> bool:
    return value is False or (_is_number(value) and value == 0)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_power_of_ten(value: Leaf | None, of: Leaf) -> bool:
    if isinstance(value, bool) or isinstance(of, bool):
        return value is of
    if not (_is_number(value) and _is_number(of)) or value in (0, None):
        return False
    ratio = abs(float(value) / float(of))
    return any(abs(ratio * 10.0**power - 1) < _CLOSE for power in range(-6, 7))
