"""What is wrong and what to do about it are two fields, from the place where it is found to the people who read it."""

from __future__ import annotations

import pytest

from lora_post.errors import ConfigError, DecodeError, Problem, StaleFCnt, Unavailable, WrongLength


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
