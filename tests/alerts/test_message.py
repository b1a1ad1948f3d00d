"""What a message says."""

from __future__ import annotations

from msgspec.structs import replace

from lora_post.alerts.message import MAX_LISTED, as_json, body, subject
from lora_post.alerts.outbox import Digest
from tests.support.alerts import CLEARED, RAISED


def test_what_to_do_is_in_the_message_while_it_is_to_be_done() -> None:
    alert = replace(RAISED, fix="delete what is not needed")
    assert subject("Farm", Digest((alert,), (), ())) == "Farm: only 5 MB of the disk are free"
    since = "only 5 MB of the disk are free (since 2026-03-01 12:00:00 UTC)"
    fix = "  fix: delete what is not needed"
    assert body("Farm", Digest((alert,), (), ())) == f"Gateway Farm\n\nNeeds attention:\n- {since}\n{fix}\n"
    assert body("Farm", Digest((), (), (alert,))) == f"Gateway Farm\n\nNot solved yet:\n- {since}\n{fix}\n"
    assert as_json("Farm", Digest((alert,), (), ()))["raised"][0]["fix"] == "delete what is not needed"
    assert "fix" not in body("Farm", Digest((), (replace(CLEARED, fix=alert.fix),), ()))


def test_long_lists_are_cut_and_say_how_many_are_left_out() -> None:
    raised = tuple(replace(RAISED, key=f"silent:{number}") for number in range(MAX_LISTED + 30))
    digest = Digest(raised, (), (RAISED,))
    assert subject("Farm", digest) == f"Farm: {MAX_LISTED + 31} things to look at"
    assert body("Farm", digest).count("only 5 MB") == MAX_LISTED + 1
    assert "- and 30 more, see the status page\n\nNot solved yet:" in body("Farm", digest)
    message = as_json("Farm", digest)
    assert (len(message["raised"]), len(message["standing"]), message["more"]) == (MAX_LISTED, 1, {"raised": 30})
