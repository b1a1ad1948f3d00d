from __future__ import annotations

from lora_post.cli.fleet.demo import _free_ports
from lora_post.fleet.hub_files import CLUSTER


def test_no_server_has_a_port_that_another_has_for_the_others_or_for_check() -> None:
    ports = _free_ports(200)
    assert len({port + more for port in ports for more in (0, CLUSTER, 2 * CLUSTER)}) == 3 * len(ports)
