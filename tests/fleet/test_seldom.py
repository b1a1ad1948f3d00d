from __future__ import annotations

import logging

import pytest

from lora_post.fleet import seldom as seldom_module
from lora_post.fleet.seldom import Seldom


def test_trouble_that_lasts_is_told_again_after_an_hour_and_another_one_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seldom = Seldom(logging.getLogger("test"))
    for text in ("full", "full", "read-only", "read-only"):
        seldom.error(OSError(text))
    assert caplog.messages == ["full", "read-only"]
    monkeypatch.setattr(seldom_module.time, "monotonic", lambda: seldom._again_at)
    seldom.error(OSError("read-only"))
    assert caplog.messages == ["full", "read-only", "read-only"]
