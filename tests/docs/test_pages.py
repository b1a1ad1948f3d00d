"""The pages in docs/ and the README: their examples work, their links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from lora_post.cli import cli
from lora_post.config import parse_config
from lora_post.decoding.choice import mistakes_of
from lora_post.decoding.loading import load_folder, shipped_folder
from tests.docs.markdown import (
    PAGES,
    ROOT,
    Block,
    anchors,
    blocks,
    command_lines,
    commands_in,
    links,
    mistake_in,
    prose,
)
from tests.support.command import PATIENCE_S
from tests.support.in_process import lora_post
from tests.support.paths import DOCS

LANGUAGES = {"toml", "sh", "console", "python", "yaml", "json", "log", "text", ""}
MINIMAL = '[gateway]\nid = "farm-gateway-1"\n'
DEVICE = '[[device]]\naddress = 6\ndecoder = "text"\n'


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def whole(text: str) -> str:
    """A configuration with this in it."""
    if "[[device.sensor]]" in text and "[[device]]" not in text:
        text = DEVICE + text
    return text if "[gateway]" in text else MINIMAL + text


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.name)
def test_configuration_has_no_mistake(block: Block, tmp_path: Path) -> None:
    text = whole(block.text)
    for name in re.findall(r'_file = "([^"]+)"', text):
        (tmp_path / name).write_text("secret of 16 or more characters")
        (tmp_path / name).chmod(0o600)
    environ = dict.fromkeys(re.findall(r'_env = "([^"]+)"', text), "00112233445566778899aabbccddeeff")
    config = parse_config(text, tmp_path / "lora-post.toml", environ)
    assert config.warnings == ()
    if config.decoder_folder is None:
        assert list(mistakes_of(config.devices, load_folder(shipped_folder()).decoders)) == []


def test_every_input_has_a_page_with_a_complete_configuration() -> None:
    complete = {block.page.name for block in blocks("toml") if "[gateway]" in block.text and "[[input]]" in block.text}
    pages = {page.name for page in PAGES if page.parent.name == "inputs"}
    assert pages <= complete


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_exist_with_their_options(page: Path) -> None:
    mistakes = {line: mistake for line in command_lines(page) if (mistake := mistake_in(line))}
    assert mistakes == {}


def helps(command: click.Command) -> Iterator[str]:
    """The help of a command and of all below it."""
    yield command.help or ""
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            if inner := command.get_command(click.Context(command), name):
                yield from helps(inner)


def test_examples_in_helps_exist_with_their_options() -> None:
    examples = ["\n".join(re.findall(r"^ .*", text, re.MULTILINE)) for text in helps(cli)]
    lines = [line for example in examples for line in commands_in(example)]
    assert len(lines) > 20
    assert {line: mistake for line in lines if (mistake := mistake_in(line))} == {}


def test_new_device_type_in_five_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / "docs" / "decoders.md"
    steps = next(block for block in blocks("sh") if block.page == page)
    monkeypatch.chdir(tmp_path)
    for line in commands_in(steps.text):
        done = lora_post(*shlex.split(line, comments=True))
        assert done.code == 0, f"{line}\n{done.out}{done.err}"


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.name)
def test_python_runs(block: Block) -> None:
    exec(block.text, {"__name__": block.name})


@pytest.mark.parametrize("block", blocks("json"), ids=lambda block: block.name)
def test_json_is_json(block: Block) -> None:
    is_one = block.text.startswith("[\n")
    assert json.loads(block.text) if is_one else [json.loads(line) for line in block.text.splitlines()]


def test_command_that_does_not_exist_is_found() -> None:
    assert mistake_in("run --quick")
    assert mistake_in("spool forget pond-7")
    assert mistake_in("replay a.capture --format morse")
    assert not mistake_in("replay a.capture --format rak --dry-run")


@pytest.mark.parametrize("block", blocks("console"), ids=lambda block: block.name)
def test_commands_print_what_is_shown(block: Block, tmp_path: Path) -> None:
    """In a folder with the repository's fixtures; `…` stands for anything."""
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for shown in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, expected = shown.partition("\n")
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=tmp_path,
            env={"PATH": path, "HOME": str(tmp_path), "LANG": "C.UTF-8", "COLUMNS": "120"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        pattern = re.escape(expected.strip()).replace("…", ".*")
        assert re.fullmatch(pattern, done.stdout.strip(), re.DOTALL), f"{command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_tests_that_pages_name_exist() -> None:
    named = {name for page in PAGES for name in re.findall(r"`([a-z_/]+/test_\w+\.py(?:::\w+)?)`", prose(page))}
    assert len(named) > 15
    assert [name for name in sorted(named) if not _is_test(*name.partition("::")[::2])] == []


def _is_test(path: str, name: str) -> bool:
    module = ROOT / "tests" / path.removeprefix("tests/")
    return module.exists() and f"def {name}" in module.read_text("utf-8")


def test_modules_that_pages_run_exist() -> None:
    named = {name for page in PAGES for name in re.findall(r"python -m (tests[\w.]*)", page.read_text("utf-8"))}
    assert len(named) > 10
    benches = {
        name for page in PAGES for name in re.findall(r"python -m tests\.bench ([a-z]+)", page.read_text("utf-8"))
    }
    named |= {f"tests.bench.bench_{name}" for name in benches}
    paths = [ROOT.joinpath(*name.split(".")) for name in sorted(named)]
    assert [path for path in paths if not (path.with_suffix(".py").exists() or (path / "__main__.py").exists())] == []


def test_paths_that_pages_name_exist() -> None:
    made = {"decoders/VENDOR_MODEL.py", "lora_post/sinks/csv_file.py"}  # by whoever follows the page
    path = re.compile(r"(?<![\w/])(?:lora_post|tests|fixtures|decoders|scripts)/[\w./-]*\w(?!…)")
    named = {name for page in PAGES if page.parent != ROOT for name in path.findall(prose(page))}
    assert len(named) > 30
    assert [name for name in sorted(named - made) if not (ROOT / name).exists()] == []


def test_every_page_is_in_the_index() -> None:
    index = DOCS / "README.md"
    listed = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert [page_name(page) for page in PAGES if page != index and page.resolve() not in listed] == []


def test_blocks_are_of_kinds_that_are_looked_at() -> None:
    assert [block.name for block in blocks() if block.language not in LANGUAGES] == []
