"""A view of real status pages that come and go."""

from __future__ import annotations

from contextlib import ExitStack, closing
from threading import Event, Thread

from lora_post.model import Reading
from lora_post.observed.site_state import SiteState
from lora_post.terminal.client import StatusClient
from lora_post.terminal.follower import View, follow
from lora_post.uplink.model import Refusal
from tests.support.build import device, frame, report
from tests.support.command import wait_until
from tests.support.ports import free_port
from tests.support.status_page import page


def test_view_follows_what_happens_and_says_when_it_no_longer_can() -> None:
    site = SiteState([device(), device("silent", address=1)])
    views: list[View] = []
    stop = Event()
    with ExitStack() as stack:
        with page(site) as url:
            client = stack.enter_context(closing(StatusClient(url, None)))
            thread = Thread(target=follow, args=(client, views.append, stop))
            thread.start()
            wait_until(lambda: views, "there is no first view")
            site.hear(report(Reading("t", 20.5, "°C")))
            site.hear(Refusal(frame(b"\x40" + bytes(12)), "mic", "no key fits", fix="correct it"))
            wait_until(lambda: views[-1].page and views[-1].page.refused, "the news do not come")
            seen = views[-1].page
            assert seen is not None
            assert seen.devices[0].sensors[0].value == 20.5
            assert [item.id for item in seen.devices] == ["pond-7", "silent"]
            assert seen.refused[0].fix == "correct it"
        wait_until(lambda: views[-1].trouble, "the end is not noticed")
        stop.set()
        thread.join()
    end = next(view for view in views if view.trouble)
    assert str(end.trouble) == "lora-post has ended, or is being restarted"
    assert end.page == seen


def test_page_that_comes_later_is_found() -> None:
    port, views, stop = free_port(), [], Event()
    with closing(StatusClient(f"http://127.0.0.1:{port}", None)) as client:
        thread = Thread(target=follow, args=(client, views.append, stop))
        thread.start()
        wait_until(lambda: views, "nothing is said of it")
        assert "is `lora-post run` up" in str(views[0].trouble)
        stop.set()
        thread.join()
