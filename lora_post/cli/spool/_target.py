"""Read which device and which sensors a sub-command is about."""

from __future__ import annotations

from msgspec import Struct

from lora_post.config import Config
from lora_post.errors import ConfigError, SpoolError
from lora_post.model import Device
from lora_post.spool import undecoded
from lora_post.spool.lanes import sensor_states
from lora_post.spool.model import Parked
from lora_post.spool.spool_file import SpoolFile
from lora_post.text import did_you_mean
from lora_post.waziup.names import to_id


class Target(Struct, frozen=True):
    """The sensors that are meant. None: all."""

    device: str | None
    name: str | None

    def covers(self, item: Parked) -> bool:
        """Tell whether this is one of them."""
        return self.device in (None, item.device) and self.name in (None, item.name)


def known_device(config: Config, name: str) -> Device:
    """Return the device with this id. Raises ConfigError when the configuration has none."""
    devices = {device.id: device for device in config.devices}
    if name not in devices:
        raise ConfigError(
            f"{config.path}: no [[device]] has the id {name!r}", fix=did_you_mean(name, devices, "lora-post devices")
        )
    return devices[name]


def target_of(spool_file: SpoolFile, text: str | None) -> Target:
    """Read DEVICE or DEVICE/SENSOR, the sensor as Waziup calls it.

    Raises SpoolError when the spool has nothing of it.
    """
    if text is None:
        return Target(None, None)
    device, slash, sensor = text.partition("/")
    names = [state.name for state in sensor_states(spool_file) if state.device == device]
    if not names and not undecoded.load(spool_file, device):
        raise SpoolError(f"the spool holds nothing of device {device!r}", fix="see `lora-post spool`")
    if not slash:
        return Target(device, None)
    for name in names:
        if sensor in (to_id(name), name):
            return Target(device, name)
    raise SpoolError(
        f"the spool has no sensor {sensor!r} of {device}", fix=f"it has {', '.join(map(to_id, names)) or 'none'}"
    )
