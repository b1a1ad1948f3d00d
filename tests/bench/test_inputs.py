"""What `bench_inputs` measures is still what the inputs do: each gives its frames."""

from __future__ import annotations

from tests.bench.bench_inputs import CHIRPSTACK, INPUTS, mqtt, parse, push_datagrams, udp

FRAMES = 3


def test_every_input_of_the_bench_gives_its_frames() -> None:
    for name, head, one, _, _ in INPUTS:
        assert parse(name, [head + one * FRAMES]) == FRAMES, name
    assert udp(push_datagrams(FRAMES)) == FRAMES
    assert mqtt([CHIRPSTACK] * FRAMES) == FRAMES
