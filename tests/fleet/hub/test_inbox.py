"""Requests with short reply subjects, of a real server."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import nats.errors
import nats.js.errors
import pytest

from lora_post.config.fleet import FleetConfig, Role
from lora_post.fleet.hub.inbox import Stored
from lora_post.fleet.hub.link import REQUEST_S, Link
from lora_post.fleet.log.streams import LOG, ensure_streams
from tests.support.command import PATIENCE_S
from tests.support.nats_servers import nats_servers


@pytest.mark.long
def test_each_reply_comes_to_who_asked_also_under_one_name(tmp_path: Path) -> None:
    with nats_servers(tmp_path) as nodes:
        fleet = FleetConfig(tuple(nodes.urls), frozenset({Role.WORKER}), replicas=1)
        with closing(Link(fleet, "desk")) as one, closing(Link(fleet, "desk")) as other:
            assert one.wait(PATIENCE_S) and other.wait(PATIENCE_S)

            async def nobody(subject: str) -> str:
                try:
                    await one.inbox.ask(subject, b"", REQUEST_S)
                except nats.errors.NoRespondersError:
                    return "nobody"
                return "somebody"

            async def refused(link: Link) -> str:
                try:
                    await link.inbox.store("log.0.d", b"x", REQUEST_S)
                except nats.js.errors.NoStreamResponseError:
                    return "no stream"
                return "stored"

            assert one.call(nobody("down.gw1")) == "nobody"
            assert one.call(refused(one)) == "no stream"
            one.reply("echo", lambda data: data + b"!")
            for count in range(3):
                asked = [(link, link.start(link.inbox.ask("echo", b"%d" % count, REQUEST_S))) for link in (one, other)]
                assert [link.result(reply).data for link, reply in asked] == [b"%d!" % count] * 2
            ensure_streams(one, 1, may_make_log=True)
            assert other.call(other.inbox.store("log.0.d", b"x", REQUEST_S)) == 1
            assert one.call(one.inbox.next(LOG, "log.0.>", 1, REQUEST_S)) == Stored("log.0.d", 1, b"x")
            assert one.call(one.inbox.next(LOG, "log.0.>", 2, REQUEST_S)) is None
            with pytest.raises(nats.js.errors.NotFoundError):
                one.start(one.inbox.next("LP_NONE", "log.0.>", 1, REQUEST_S)).result(PATIENCE_S)
