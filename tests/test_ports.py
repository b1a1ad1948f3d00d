from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lora_post.fleet.hub_files import CLUSTER
from tests.support.ports import free_port


def test_port_is_given_once_and_is_not_one_that_the_kernel_hands_out() -> None:
    with ThreadPoolExecutor(4) as pool:
        ports = list(pool.map(lambda _: free_port(), range(100)))
    assert len({*ports}) == len(ports)
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert not [port for port in ports if first <= port + 2 * CLUSTER <= last]
