"""A machine whose clocks a test sets."""

from __future__ import annotations

from dataclasses import dataclass

BOOTED_US = 1_790_000_000_000_000  # 2026-09-21T14:13:20Z


@dataclass
class Machine:
    """One boot. true_us: UTC. wall_error_us: what the system clock is ahead of it. booted_us: UTC at boot."""

    boot_id: str = "boot-1"
    booted_us: int = BOOTED_US
    true_us: int = BOOTED_US + 30_000_000
    wall_error_us: int = 0
    is_vouched_for: bool = False

    def wall_us(self) -> int:
        return self.true_us + self.wall_error_us

    def boot_us(self) -> int:
        return self.true_us - self.booted_us

    def vouches(self) -> bool:
        return self.is_vouched_for

    def pass_s(self, seconds: float) -> None:
        self.true_us += round(seconds * 1_000_000)

    def start_in_1970(self) -> None:
        """As a board without battery does: the system clock is zero at boot."""
        self.wall_error_us = -self.booted_us

    def reboot(self, boot_id: str, off_s: float, up_s: float = 30) -> None:
        self.boot_id = boot_id
        self.pass_s(off_s)
        self.booted_us = self.true_us
        self.pass_s(up_s)
