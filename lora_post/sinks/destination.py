"""Define a destination: its table in the configuration, and what is made of it.

`SINKS` in `lora_post.sinks` lists them. Whatever else has to know of destinations (the configuration, `run`, `check`,
the units for systemd, the reference of all keys) asks here, and names none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import Struct

from lora_post.model import Device, Location
from lora_post.net.traffic import Traffic
from lora_post.sinks.announced import Announced
from lora_post.sinks.finding import Finding
from lora_post.sinks.sink import Sink
from lora_post.sinks.watch import Watch
from lora_post.spool.model import Lane
from lora_post.toml_table import TableReader

if TYPE_CHECKING:
    from lora_post.net.http_client import OnDate
    from lora_post.spool.facts import Facts

TableT = TypeVar("TableT", bound=Struct)
SettingsT = TypeVar("SettingsT")


class DeviceBook:
    """The configured devices by id; `use` replaces them all while other threads ask."""

    def __init__(self, devices: Iterable[Device] = ()) -> None:
        self.use(devices)

    def use(self, devices: Iterable[Device]) -> None:
        """Replace the devices."""
        self._by_id = {device.id: device for device in devices}

    def get(self, device_id: str) -> Device | None:
        """Return a device; None when it is not, or no longer, in the configuration."""
        return self._by_id.get(device_id)

    def __iter__(self) -> Iterator[Device]:
        return iter(self._by_id.values())


class Site(Struct, frozen=True):
    """This gateway and its devices, as they are declared where readings go.

    gateway_id: "" in a check of a configuration that does not tell. visibility: "private" or "public".
    location: where the gateway is, None when that is not given.
    """

    gateway_id: str
    gateway_name: str
    visibility: str
    devices: DeviceBook
    location: Location | None = None


class SinkContext(Struct, frozen=True):
    """What a sink may use of lora-post.

    lanes_of: the sensors of a device, by its id. facts_of: what is known of a server, by any name that tells servers
    and accounts apart. announced: what devices say that they can be told. traffic: where a metered destination adds up
    its bytes. on_date: to be told the Date header of a server whose clock is right. alive: to be
    called before each request, of which one round may need many.
    """

    site: Site
    lanes_of: Callable[[str], Sequence[Lane]]
    facts_of: Callable[[str], Facts]
    announced: Announced
    traffic: Traffic
    on_date: OnDate | None
    alive: Callable[[], object] = lambda: None


class NeededFile(Struct, frozen=True):
    """A file that a run needs. key: where it is configured, such as "[mqtt] ca_file"."""

    key: str
    path: Path
    is_written: bool


def no_files(settings: object) -> Sequence[NeededFile]:
    """Return no files, which is what most destinations need."""
    return ()


def no_watch(settings: object, context: SinkContext) -> Watch | None:
    """Return None: no values are set there."""
    return None


class Destination(Struct, Generic[TableT, SettingsT], frozen=True):
    """One kind of place that readings go to; its key in `SINKS` names its table.

    table: its table; each key has a meaning in the docstring, from which docs/configuration.md is made.
    read: checks the table; adds mistakes and warnings to the reader.
    open: makes the sink; imports here, not before, what it takes (a library may need 10 MB).
    check: tests the settings for `lora-post check`, changes nothing.
    remote: the subjects of these findings when they need a network; () when `check --offline` makes them, too.
    files: the files that it needs, for the rights of a systemd service.
    watch: finds values that are set there for devices; None where nothing can be, or is not to be, looked for.
    is_metered: whether [upload] applies; the sink adds up its bytes in the context's `traffic` then.
    """

    table: type[TableT]
    read: Callable[[TableReader, TableT], SettingsT]
    open: Callable[[SettingsT, SinkContext], Sink]
    check: Callable[[SettingsT, Site], Iterator[Finding]]
    remote: tuple[str, ...] = ()
    files: Callable[[SettingsT], Sequence[NeededFile]] = no_files
    is_metered: bool = False
    watch: Callable[[SettingsT, SinkContext], Watch | None] = no_watch
