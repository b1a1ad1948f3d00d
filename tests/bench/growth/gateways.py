"""What a datagram and a look cost with more and more gateways on one port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from lora_post.formats.rxpk_json import read_push_data
from lora_post.formats.semtech_udp import read_datagram
from lora_post.inputs.gateway_book import GatewayBook
from lora_post.run.live import SHOWN_GATEWAYS
from tests.bench.bench_inputs import push_datagram
from tests.bench.growth.cost import Cost, Prepare, Work
from tests.bench.growth.site import STEP
from tests.support.build import NOON_US

MANY = 64
ADDRESS = "192.0.2.1:1700"


class Port:
    def __init__(self, size: int, *, listed: bool = False) -> None:
        self.euis = [f"{0xAA555A0000000000 + index:016x}" for index in range(size)]
        self._numbers = count()
        self.book = GatewayBook("udp", lambda: 1e6, self.euis if listed else ())
        for eui in self.euis:
            self.book.heard(eui, ADDRESS)

    def next_eui(self) -> str:
        return self.euis[next(self._numbers) * STEP % len(self.euis)]


@contextmanager
def _datagrams(is_new: bool, folder: Path, size: int) -> Iterator[Prepare]:
    """Datagrams with a frame, of gateways that are known, or of EUIs that nobody has heard before."""
    port = Port(size)
    made_up = count(1)

    def work(datagrams: list[bytes]) -> None:
        for data in datagrams:
            datagram = read_datagram(data)
            port.book.heard(datagram.gateway, ADDRESS)
            read_push_data(datagram.body, datagram.gateway, NOON_US)

    def prepare() -> tuple[Work, int]:
        euis = [f"{next(made_up):016x}" if is_new else port.next_eui() for _ in range(MANY)]
        return partial(work, [push_datagram(number, eui) for number, eui in enumerate(euis)]), MANY

    yield prepare


@contextmanager
def _look(listed: bool, folder: Path, size: int) -> Iterator[Prepare]:
    """What is done after each read."""
    port = Port(size, listed=listed)

    def look() -> None:
        port.book.look_for_silent()
        port.book.missing()

    yield lambda: (look, 1)


@contextmanager
def _page(folder: Path, size: int) -> Iterator[Prepare]:
    port = Port(size)
    yield lambda: (partial(port.book.snapshot, SHOWN_GATEWAYS), 1)


GATEWAYS = (
    Cost("a datagram, by gateways", partial(_datagrams, False)),
    Cost("a datagram of a new EUI, by gateways", partial(_datagrams, True)),
    Cost("look for silent gateways at a read", partial(_look, False)),
    Cost("the same, all listed", partial(_look, True)),
    Cost("those that the page shows, by gateways", _page, of_all=True),
)
