"""A configuration to start from works as it is, and overwrites nothing."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from lora_post.config import load_config
from tests.support.in_process import lora_post

INPUTS = ["udp://127.0.0.1:1700", "stdin:", "serial:///dev/ttyUSB0?baud=38400", "file:seen.capture"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("url", INPUTS)
@pytest.mark.parametrize("account", [(), ("--username", "me")], ids=["file", "account"])
def test_what_is_written_can_be_run(url: str, account: tuple[str, ...]) -> None:
    ran = lora_post("init", "site.toml", "--url", url, *account, stdin=b"a secret\n")
    assert (ran.code, ran.err) == (0, "")
    config = load_config(Path("site.toml"))
    assert list(config.destinations) == (["waziup"] if account else ["json_lines"])
    assert config.site.visibility == "private"
    assert "a secret" not in ran.out + Path("site.toml").read_text()
    if account:
        assert Path("waziup.password").stat().st_mode & 0o777 == 0o600


def test_check_finds_nothing_to_correct() -> None:
    lora_post("init", "site.toml", "--url", "stdin:")
    ran = lora_post("check", "-c", "site.toml", "--offline")
    assert ran.code == 0
    assert "FAIL" not in ran.out


def test_nothing_is_overwritten() -> None:
    Path("site.toml").write_text("mine")
    ran = lora_post("init", "site.toml", "--username", "me", stdin=b"secret\n")
    assert ran.code == 2
    assert ran.err == "Error: site.toml is there already; change it, or move it away first\n"
    assert (Path("site.toml").read_text(), Path("waziup.password").exists()) == ("mine", False)


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--gateway-id", "a b", "[gateway] id is 'a b'"),
        ("--name", 'say "hello" \\ \n[[device]]', ""),
    ],
)
def test_mistakes_are_named_before_anything_is_written(option: str, value: str, says: str) -> None:
    ran = lora_post("init", "site.toml", option, value)
    if not says:  # any name is a name, however it looks in TOML
        assert tomllib.loads(Path("site.toml").read_text())["gateway"]["name"] == value
        return
    assert ran.code == 2
    assert says in ran.err
    assert not Path("site.toml").exists()


def test_account_without_a_password_writes_nothing() -> None:
    ran = lora_post("init", "site.toml", "--username", "me")
    assert ran.code == 2
    assert "no password of me on stdin" in ran.err
    assert not Path("site.toml").exists()
