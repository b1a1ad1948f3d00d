"""What is wrong and what to do about it are two fields, from the place where it is found to the people who read it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from msgspec import json
from msgspec.structs import replace

import lora_post as package
from lora_post.alerts.book import AlertBook
from lora_post.alerts.message import as_json, body
from lora_post.alerts.outbox import Digest
from lora_post.alerts.rules import conditions
from lora_post.errors import (
    ConfigError,
    DecodeError,
    LoraPostError,
    Problem,
    StaleFCnt,
    Unavailable,
    UnknownDevice,
    WrongLength,
)
from lora_post.observed.page_model import Page
from lora_post.observed.run_state import DestinationState, InputState
from lora_post.observed.site_state import SiteState
from lora_post.run.outcome_log import OutcomeLog
from lora_post.status.overview import whole
from lora_post.terminal.follower import View
from lora_post.terminal.layout import layout
from lora_post.uplink.model import Refusal
from lora_post.uplink.outcome_json import outcome_json
from lora_post.uplink.unlock import unlock
from tests.support.build import NOON_US, frame
from tests.support.error_tree import below
from tests.support.in_process import lora_post
from tests.support.status_page import WELL

PACKAGE = Path(package.__path__[0])


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("no url", fix="add one"),
        StaleFCnt("no url", "pond-7", fix="add one"),
        WrongLength("no url", (), fix="add one"),
        Unavailable("no url", 3.0, fix="add one"),
    ],
)
def test_error_has_what_and_fix_apart_and_reads_as_one_line(error: ConfigError) -> None:
    assert (error.what, error.fix) == ("no url", "add one")
    assert error.problem == Problem("no url", "add one")
    assert str(error) == str(error.problem) == "no url; add one"
    assert str(error.problem.at("site.toml")) == "site.toml: no url; add one"


def test_without_a_fix_the_text_is_all() -> None:
    assert str(DecodeError("3 bytes, want 4")) == "3 bytes, want 4"


def test_error_of_a_decoder_that_does_not_call_init_has_no_fix() -> None:
    class Own(DecodeError):
        def __init__(self) -> None:
            Exception.__init__(self, "own")

    assert (str(Own()), Own().fix) == ("own", "")


CALLED = {kind.__name__ for kind in (Problem, *below(LoraPostError))} | {"refuse", "warn"}


SAID = re.compile(r'(?:\A|:\n)\s*"""[\s\S]*?"""|^\s*#.*$', re.MULTILINE)
"""Docstrings and lines of comment."""


@pytest.fixture(scope="module")
def calls() -> list[tuple[str, ast.Call]]:
    """Every call in the files of the package whose code has a semicolon in a text, with its place."""
    return [
        (f"{path.relative_to(PACKAGE)}:{node.lineno}", node)
        for path in sorted(PACKAGE.rglob("*.py"))
        if "; " in SAID.sub("", code := path.read_text("utf-8"))
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call)
    ]


def text_of(node: ast.expr) -> str:
    """Return the constant parts of a text."""
    return "".join(part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and type(part.value) is str)


def test_no_text_is_cut_at_the_semicolon_that_people_see(calls: list[tuple[str, ast.Call]]) -> None:
    cut = [
        place
        for place, call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in ("partition", "rpartition", "split", "rsplit", "find", "index")
        and any(text_of(argument) == "; " for argument in call.args)
    ]
    assert cut == []


def test_no_error_has_its_fix_in_its_text(calls: list[tuple[str, ast.Call]]) -> None:
    assert len(calls) > 5000
    spelled = [
        place
        for place, call in calls
        if (getattr(call.func, "id", None) or getattr(call.func, "attr", None)) in CALLED
        and call.args
        and not isinstance(call.args[0], ast.Call)
        and "; " in text_of(call.args[0])
    ]
    assert spelled == []


def test_fix_of_a_refused_frame_reaches_log_page_and_watch(caplog: pytest.LogCaptureFixture) -> None:
    stranger = frame(bytes.fromhex("40da1b012680070002533cc170dfd80198bc5e"))
    with pytest.raises(UnknownDevice) as caught:
        unlock(stranger, lambda link, address: [])
    fix = 'add a [[device]] with dev_addr = "26011bda": lora-post devices add 26011bda'
    assert caught.value.fix == fix
    refusal = Refusal.of(stranger, caught.value)
    OutcomeLog()(refusal)
    assert caplog.messages == ["refused check=unknown-device: no device has DevAddr 26011bda", f"  fix: {fix}"]
    site = SiteState([])
    site.hear(refusal)
    page = whole(site, WELL)
    assert json.decode(json.encode(page))["refused"][0]["fix"] == fix
    assert outcome_json(refusal)["refused"] == {
        "check": "unknown-device",
        "detail": "no device has DevAddr 26011bda",
        "fix": fix,
    }
    assert f"fix: {fix}" in watched(page)


def test_fix_of_a_broken_input_and_of_a_destination_reaches_page_watch_alert_and_log() -> None:
    broken = replace(
        WELL,
        inputs=(InputState("ttyUSB0", 0, Problem("no such file", "plug it in")),),
        destinations=(DestinationState("waziup", 1, 0, 0, 0, 0, Problem("no route", "look at the link")),),
    )
    page = whole(SiteState([]), broken)
    told = json.decode(json.encode(page))
    assert told["state"]["inputs"][0]["trouble"] == {"what": "no such file", "fix": "plug it in"}
    assert [problem["fix"] for problem in told["verdict"]["problems"]] == ["plug it in", "look at the link"]
    assert "input ttyUSB0: no such file\n     fix: plug it in\n" in watched(page)
    [condition] = conditions(broken, [])
    [alert] = AlertBook().look([replace(condition, after_us=0)], 0)
    digest = Digest((alert,), (), ())
    assert as_json("Farm", digest)["raised"][0]["fix"] == "plug it in"
    assert "no such file (since 1970-01-01 00:00:00 UTC)\n  fix: plug it in\n" in body("Farm", digest)


def test_fix_of_a_mistake_reaches_check(tmp_path: Path) -> None:
    config = tmp_path / "lora-post.toml"
    config.write_text(
        '[gateway]\nid = "gw1"\n[spool]\nmax_mb = 0\n[[device]]\nid = "a"\naddress = 7\ndecoder = "texd"\n'
    )
    shown = lora_post("check", "-c", config, "--offline").out
    assert f"{config}: [spool] max_mb is 0\n{'':24}fix: it must be at least " in shown
    assert f"a: there is no decoder 'texd'\n{'':24}fix: did you mean 'text'?\n" in shown


def watched(page: Page) -> str:
    """Return what `lora-post watch` shows."""
    return "\n".join(line.plain for line in layout(View(page), NOON_US // 1000, 200, None))
