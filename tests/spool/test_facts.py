"""What is remembered over restarts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lora_post.errors import SpoolError
from lora_post.spool.facts import Facts, subjects_with
from lora_post.spool.spool_file import SpoolFile


@pytest.fixture
def spool_file(tmp_path: Path) -> Iterator[SpoolFile]:
    with closing(SpoolFile(tmp_path / "spool.db")) as spool_file:
        yield spool_file


def test_facts_about_two_servers_are_kept_apart(spool_file: SpoolFile) -> None:
    one, two = Facts(spool_file, "one"), Facts(spool_file, "two")
    one.remember("device a", "ours")
    two.remember("device a", "ours")
    assert subjects_with(spool_file, "device a") == ["one", "two"]
    two.forget("device a")
    assert (one.recall(), two.recall()) == ({"device a": "ours"}, {})
    assert (Facts(spool_file, "one").recall(), Facts(spool_file, "two").recall()) == ({"device a": "ours"}, {})
    assert subjects_with(spool_file, "device a") == ["one"]


def test_fact_that_changes_is_known_as_it_is_now(spool_file: SpoolFile) -> None:
    facts = Facts(spool_file, "one")
    facts.remember("day", "1")
    facts.remember("day", "2")
    assert facts.recall() == Facts(spool_file, "one").recall() == {"day": "2"}
    facts.forget("what was never known")


def test_fact_that_cannot_be_written_is_known_in_this_process(spool_file: SpoolFile) -> None:
    facts = Facts(spool_file, "one")
    spool_file.db.execute("PRAGMA query_only = ON")
    with pytest.raises(SpoolError, match="readonly"):
        facts.remember("device a", "ours")
    assert facts.recall() == {"device a": "ours"}
    spool_file.db.execute("PRAGMA query_only = OFF")
    assert Facts(spool_file, "one").recall() == {}


def test_facts_go_on_in_the_file_that_takes_the_place_of_a_damaged_one(spool_file: SpoolFile) -> None:
    facts = Facts(spool_file, "one")
    facts.remember("device a", "ours")
    path = spool_file.path
    with closing(SpoolFile(path.with_name("new.db"))):
        pass
    for suffix in ("-wal", "-shm"):
        path.with_name(f"{path.name}{suffix}").unlink()
    path.with_name("new.db").replace(path)
    facts.remember("device b", "ours")
    assert facts.recall() == {"device a": "ours", "device b": "ours"}
    with closing(SpoolFile(path)) as new:
        assert Facts(new, "one").recall() == {"device b": "ours"}
