"""Remember the actuators that devices announce, for the sinks."""

from __future__ import annotations

from threading import Lock

from lora_post.model import Actuator
from lora_post.uplink.model import Report
from lora_post.waziup.names import to_id

MAX_ACTUATORS = 64  # of one device


class Announced:
    """The actuators that devices have announced; one thread adds them, others ask."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._of: dict[str, dict[str, Actuator]] = {}

    def hear(self, report: Report) -> None:
        """Add what an uplink announces."""
        if not report.actuators:
            return
        with self._lock:
            there = self._of.setdefault(report.uplink.device.id, {})
            for actuator in report.actuators:
                if len(there) < MAX_ACTUATORS:
                    there.setdefault(to_id(actuator.name), actuator)

    def of(self, device_id: str) -> dict[str, Actuator]:
        """Return the actuators of a device by their Waziup id."""
        with self._lock:
            return dict(self._of.get(device_id, {}))
