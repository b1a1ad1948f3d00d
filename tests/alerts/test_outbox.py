"""What is told in one message, and once."""

from __future__ import annotations

from lora_post.alerts.book import Alert
from lora_post.alerts.message import body, subject
from lora_post.alerts.outbox import GATHER_US, Digest, Outbox
from tests.support.alerts import CLEARED, RAISED
from tests.support.build import NOON_US


def test_changes_are_gathered_into_one_message() -> None:
    outbox = Outbox()
    for second in range(50):
        outbox.put([Alert(f"silent:{second}", f"device {second} is silent", second, 0)], second * 1_000_000)
        assert outbox.digest({}, second * 1_000_000) is None
    digest = outbox.digest({"disk": RAISED}, GATHER_US)
    assert digest is not None
    assert (len(digest.raised), digest.cleared, digest.standing) == (50, (), (RAISED,))
    assert subject("Farm", digest) == "Farm: 51 things to look at"
    outbox.told()
    assert outbox.digest({}, 10 * GATHER_US) is None


def test_alert_that_came_and_went_while_nothing_could_be_sent_is_told_of_once() -> None:
    outbox = Outbox()
    for _ in range(100):
        outbox.put([RAISED], NOON_US)
        outbox.put([CLEARED], NOON_US)
    digest = outbox.digest({}, NOON_US + GATHER_US)
    assert digest == Digest((), (CLEARED,), ())
    assert subject("Farm", digest) == "Farm: everything is solved"
    text = "only 5 MB of the disk are free (2026-03-01 12:00:00 UTC, for 3 h)"
    assert body("Farm", digest) == f"Gateway Farm\n\nSolved:\n- {text}\n"
