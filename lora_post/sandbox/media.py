"""Media types: which body format came, which one to answer in.

Sources: http-media 0.8.0.0 (matching), servant 0.16.2 (the types each format stands for).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class MediaType(Struct, frozen=True):
    """A media type or range; all parts in lower case, parameters sorted."""

    main: str
    sub: str
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """Return it as it stands in a header."""
        return f"{self.main}/{self.sub}" + "".join(f";{key}={value}" for key, value in self.parameters)


_UTF8 = (("charset", "utf-8"),)
JSON = MediaType("application", "json", _UTF8)
TEXT = MediaType("text", "plain", _UTF8)
CSV = MediaType("text", "csv", _UTF8)


def parse_media(text: str) -> MediaType | None:
    """Return a media type, or None when it is not one; quotes and blanks around `=` are not understood."""
    essence, *parameters = (part.strip(" \t").lower() for part in text.split(";"))
    main, slash, sub = essence.partition("/")
    if not slash or not main or not sub or (main == "*" and sub != "*"):
        return None
    pairs = {(key, value) for key, _, value in (part.partition("=") for part in parameters)}
    return MediaType(main, sub, tuple(sorted(pairs)))


def is_json(content: MediaType) -> bool:
    """Tell whether this is JSON, which is recognised with any parameter."""
    return (content.main, content.sub) == (JSON.main, JSON.sub)


def is_text(content: MediaType) -> bool:
    """Tell whether this is text, which is recognised with `charset=utf-8` and nothing else."""
    return content == TEXT


def choose(offers: Sequence[MediaType], accept: str | None) -> MediaType | None:
    """Return the offer that an Accept header likes best, the first of equals; None: nothing fits, so 406."""
    if accept is None:
        return offers[0]
    ranges = [_quality(part) for part in accept.split(",")]
    wanted = [item for item in ranges if item is not None]
    if len(wanted) < len(ranges):
        return None
    best = max(offers, key=lambda offer: _liking(offer, wanted))
    return best if _liking(best, wanted) > 0 else None


def _quality(text: str) -> tuple[MediaType, float] | None:
    media = parse_media(text)
    if media is None:
        return None
    others = tuple(pair for pair in media.parameters if pair[0] != "q")
    qualities = [value for key, value in media.parameters if key == "q"]
    try:
        quality = float(qualities[0]) if qualities else 1.0
    except ValueError:
        return None
    return (MediaType(media.main, media.sub, others), quality) if 0 <= quality <= 1 else None


def _liking(offer: MediaType, wanted: Sequence[tuple[MediaType, float]]) -> float:
    """Return the quality that the most specific fitting range gives an offer; 0 when none fits."""
    fitting = [(_specific(media), quality) for media, quality in wanted if _fits(offer, media)]
    return max(fitting, key=lambda item: item[0])[1] if fitting else 0.0


def _fits(offer: MediaType, wanted: MediaType) -> bool:
    main_fits = wanted.main in ("*", offer.main)
    sub_fits = wanted.sub in ("*", offer.sub)
    return main_fits and sub_fits and wanted.parameters in ((), offer.parameters)


def _specific(media: MediaType) -> tuple[bool, bool, int]:
    return (media.main != "*", media.sub != "*", len(media.parameters))
