from __future__ import annotations

from pathlib import Path

import pytest

from tests.flood import flood


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.long)])
def test_flooded_input_costs_the_others_nothing_and_every_datagram_is_accounted_for(
    rounds: int, tmp_path: Path
) -> None:
    found = flood(tmp_path, rounds=rounds, rate=10_000)
    assert found.stored == {device: [count / 100 for count in range(sent)] for device, sent in found.sent.items()}
    assert found.sent == {"serial": 2 * rounds, "mqtt": 2 * rounds, "udp": 2 * rounds + 1}
    ends = ("unknown-device", "udp-queue-full", "udp-system", "repeated-datagram")
    assert sum(found.counts.get(end, 0) for end in ends) == found.flood
    assert found.peak_mb < 150
