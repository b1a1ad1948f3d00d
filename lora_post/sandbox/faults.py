"""What can go wrong between a gateway and its server, as data; `fault_middleware` makes it happen.

A `Fault` says what becomes of one request, a `Faults` which request gets which one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from enum import Enum
from math import inf
from random import Random
from typing import Final, Protocol

from msgspec import Struct

LOGIN: Final = "POST /auth/token"
DEFAULT_PERCENT: Final = 5.0
_PAGE: Final = b"<html><head><title>Prepaid</title></head><body>Your credit is used up.</body></html>"


class Ending(Enum):
    """What the client gets."""

    ANSWER = "the true answer"
    HALF = "half of the true answer, then the connection is cut"
    MADE_UP = "another answer"
    NOISE = "bytes that are no HTTP"
    CUT = "nothing, the connection is cut"


class Fault(Struct, frozen=True):
    """What becomes of one request.

    carried_out: whether the server does what is asked; only for endings that hide the true answer, else it always does.
    delay_s: before the request is looked at, whether the client waits or leaves.
    stall_s: after that, before the ending.
    late_s: after which the server does what was asked, although the client has had its ending at once; 0: as above.
    latest_s: what comes to its turn later than that is not done at all, as by a server that gives up; for a test that
    needs a bound on a busy machine.
    status, headers, body: of an answer that is made up. bytes_per_s: of both bodies; 0: as fast as it goes.
    refuse_s: for how long no connections are taken afterwards.
    as_guest: the token is not believed, as when it has run out.
    """

    kind: str
    ending: Ending = Ending.ANSWER
    carried_out: bool = False
    delay_s: float = 0.0
    stall_s: float = 0.0
    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b"trouble"
    bytes_per_s: float = 0.0
    refuse_s: float = 0.0
    as_guest: bool = False
    late_s: float = 0.0
    latest_s: float = inf


class Faults(Protocol):
    """Decides for each request."""

    def choose(self, request: str) -> Fault | None:
        """Return the fault of a request, as "POST /devices"; None: it is served as always."""
        ...


class Kind(Struct, frozen=True):
    """A sort of fault. number: the default of the N in KIND=N, None when it takes none."""

    name: str
    number: float | None
    explains: str
    make: Callable[[float], Fault]


def _status(code: int, *, carried_out: bool = False) -> Callable[[float], Fault]:
    name = f"{code}-after" if carried_out else str(code)

    def make(retry_after_s: float) -> Fault:
        headers = ((b"retry-after", b"%d" % retry_after_s),) if retry_after_s else ()
        return Fault(name, Ending.MADE_UP, carried_out, status=code, headers=headers)

    return make


KINDS: Final = (
    Kind("drop", None, "cut the connection before the request is looked at", lambda _: Fault("drop", Ending.CUT)),
    Kind("drop-after", None, "cut it once the request is done", lambda _: Fault("drop-after", Ending.CUT, True)),
    Kind("delay", 1, "look at the request N seconds later", lambda n: Fault("delay", delay_s=n)),
    Kind("late", 9, "cut it at once, do the request N s later", lambda n: Fault("late", Ending.CUT, late_s=n)),
    Kind(
        "504-late",
        9,
        "status 504 at once, as of a proxy; do it N s later",
        lambda n: Fault("504-late", Ending.MADE_UP, status=504, late_s=n),
    ),
    Kind("stall", 90, "take it, say nothing for N s, cut", lambda n: Fault("stall", Ending.CUT, stall_s=n)),
    Kind("refuse", 10, "cut, take no connection for N s", lambda n: Fault("refuse", Ending.CUT, refuse_s=n)),
    Kind("slow", 500, "N bytes a second, both ways", lambda n: Fault("slow", bytes_per_s=n)),
    Kind("500", None, "refuse with status 500", _status(500)),
    Kind("500-after", None, "status 500 once the request is done", _status(500, carried_out=True)),
    Kind("502", None, "status 502, as of a proxy", _status(502)),
    Kind("502-after", None, "status 502 once the request is done", _status(502, carried_out=True)),
    Kind("503", 5, "status 503 with Retry-After: N", _status(503)),
    Kind("429", 5, "status 429 with Retry-After: N", _status(429)),
    Kind("401", None, "status 401, the token counts no more (never for the login)", _status(401)),
    Kind("guest", None, "take the token for run out: as guest", lambda _: Fault("guest", as_guest=True)),
    Kind("garbage", None, "do it, answer with noise", lambda _: Fault("garbage", Ending.NOISE, True)),
    Kind("truncated", None, "do it, send half of the answer", lambda _: Fault("truncated", Ending.HALF, True)),
    Kind(
        "html",
        None,
        "answer with a network operator's page, status 200",
        lambda _: Fault("html", Ending.MADE_UP, status=200, headers=((b"content-type", b"text/html"),), body=_PAGE),
    ),
)
_BY_NAME: Final = {kind.name: kind for kind in KINDS}


class RandomFaults:
    """Each request gets a fault by chance; the same seed and requests give the same faults."""

    def __init__(self, rates: Sequence[tuple[Fault, float]], seed: int) -> None:
        """rates: faults with their probabilities, 0 … 1, together at most 1."""
        self._rates = tuple(rates)
        self._random = Random(seed)  # noqa: S311 - not a secret
        self.counts: Counter[str] = Counter()
        self.requests = 0

    def choose(self, request: str) -> Fault | None:
        self.requests += 1
        at = self._random.random()
        for fault, rate in self._rates:
            if at < rate:
                # At the login it would say that the password is wrong.
                if fault.status == 401 and request == LOGIN:
                    return None
                self.counts[fault.kind] += 1
                return fault
            at -= rate
        return None

    def stop(self) -> None:
        """Give no more faults."""
        self._rates = ()


def read_rates(spec: str) -> list[tuple[Fault, float]]:
    """Return the faults of `KIND[=N][@PERCENT],…`; `random`: some of all. Raises ValueError with what is wrong."""
    if spec == "random":
        return [(kind.make(kind.number or 0.0), 0.02) for kind in KINDS]
    rates = [_read_rate(part) for part in spec.split(",")]
    total = sum(rate for _, rate in rates)
    if total > 1.0 + 1e-9:
        raise ValueError(f"the percentages of {spec!r} add up to {100 * total:g}; want at most 100")
    return rates


def _read_rate(part: str) -> tuple[Fault, float]:
    match = re.fullmatch(r"([a-z0-9-]+)(?:=(\d+(?:\.\d+)?))?(?:@(\d+(?:\.\d+)?))?", part, re.ASCII)
    if match is None:
        raise ValueError(f"{part!r} is not understood; write KIND, KIND=N, KIND@PERCENT or KIND=N@PERCENT")
    name, number, percent = match.groups()
    kind = _BY_NAME.get(name)
    if kind is None:
        raise ValueError(f"there is no fault {name!r}; there are random, {', '.join(_BY_NAME)}")
    if number is not None and kind.number is None:
        raise ValueError(f"{part!r}: {name} takes no number")
    amount = float(number) if number is not None else kind.number or 0.0
    if name == "slow" and amount < 1:
        raise ValueError(f"{part!r}: slow takes at least 1 byte a second")
    return kind.make(amount), float(percent if percent is not None else DEFAULT_PERCENT) / 100
