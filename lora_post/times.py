"""The kinds of time that a number of µs can be, told apart by mypy.

A time with a span (a plain int) added or taken away is a time of the same kind. The difference of two times is a
plain int: a span where they are of one kind; where they are not, the code that takes it says what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import Self, overload

    class _Time(int):
        def __add__(self, span_us: int, /) -> Self: ...
        @overload
        def __sub__(self, time_us: _Time, /) -> int: ...  # type: ignore[overload-overlap]
        @overload
        def __sub__(self, span_us: int, /) -> Self: ...
        def __sub__(self, other: int, /) -> int: ...

    class StampUs(_Time):
        """When a frame or a reading was taken: a WallUs, or a place on the scale of unknown times (`clocks.scale`)."""

    class WallUs(StampUs):
        """µs since 1970 UTC."""

    class SteadyUs(_Time):
        """A moment on the steady clock of this process (`clocks.steady`); NEVER for none."""

    class BootUs(_Time):
        """µs since this machine was started."""

else:
    StampUs = WallUs = SteadyUs = BootUs = int

NEVER: Final = SteadyUs(0)
