"""What `check` says of the parts that listen here."""

from __future__ import annotations

import socket

from lora_post.checks.setup import check_status_page
from lora_post.config.status import status_at
from lora_post.sinks.finding import Grade


def test_port_of_the_status_page_is_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        status = status_at(f"127.0.0.1:{other.getsockname()[1]}", None)
        [taken] = check_status_page(status)
    [free] = check_status_page(status)
    assert (taken.verdict, free.verdict) == (Grade.WARNING, Grade.OK)
    assert taken.fix == "fine if that is `lora-post run`; else name another port"
    assert not list(check_status_page(None))
