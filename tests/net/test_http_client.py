"""What an answer means for the readings that were sent."""

from __future__ import annotations

import pytest

from lora_post.errors import OutcomeUnknown, SinkError, Unavailable
from lora_post.net.http_client import Answer, transient


@pytest.mark.parametrize(
    ("status", "kind"),
    [(301, Unavailable), (304, Unavailable), (401, Unavailable), (429, Unavailable)]
    + [(status, OutcomeUnknown) for status in (200, 404, 408, 418, 500, 503)],
)
def test_answer_that_may_change_leaves_a_doubt_unless_nothing_was_taken(status: int, kind: type[SinkError]) -> None:
    error = transient("sending d/s", Answer(status, b"busy", 7.0))
    assert type(error) is kind
    assert (str(error), error.retry_after_s) == (f"sending d/s: status {status}: busy", 7.0)
