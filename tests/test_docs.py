"""The pages in docs/ and the README: their examples work, their links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lora_post.config import parse_config
from lora_post.decoder_choice import mistakes_of
from lora_post.decoder_files import load_decoders, shipped_folder
from tests.docs.markdown import PAGES, ROOT, Block, anchors, blocks, command_lines, links, mistake_in

LANGUAGES = {"toml", "sh", "console", "python", "ini", "yaml", "json", "log", "text", ""}
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
        assert list(mistakes_of(config.devices, load_decoders(shipped_folder()).decoders)) == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_exist_with_their_options(page: Path) -> None:
    mistakes = {line: mistake for line in command_lines(page) if (mistake := mistake_in(line))}
    assert mistakes == {}


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
            timeout=60,
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


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert [page_name(page) for page in PAGES[1:] if page != index and page.resolve() not in listed] == []


def test_blocks_are_of_kinds_that_are_looked_at() -> None:
    assert [block.name for block in blocks() if block.language not in LANGUAGES] == []
