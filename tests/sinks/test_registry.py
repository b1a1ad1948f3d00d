"""The registry of destinations: everything that has to know of them asks there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lora_post.sinks import SINKS
from tests.support.in_process import lora_post
from tests.support.paths import ROOT

CONFIGURED = {
    "waziup": 'provision = "never"',
    "wazigate": "",
    "mqtt": 'url = "mqtt://127.0.0.1"',
    "json_lines": 'path = "readings.jsonl"',
}
LIBRARIES = {"waziup": {"requests"}, "wazigate": {"requests"}, "mqtt": {"paho"}, "json_lines": set()}
OPEN = """
import os
import sys
from pathlib import Path
from lora_post.config import parse_config
from lora_post.run.upload_thread import open_outlet
from lora_post.sinks.announced import Announced
from lora_post.spool.spool_file import SpoolFile

for text in sys.argv[1:]:
    if os.fork():
        os.wait()
        continue
    config = parse_config(text, Path("lora-post.toml"), {})
    for name in config.destinations:
        open_outlet(name, config, SpoolFile(Path(f"{name}.db")), Announced())
    print(*config.destinations, *sorted({"requests", "paho"} & set(sys.modules)), flush=True)
    os._exit(0)
"""


def test_opening_a_destination_loads_no_library_of_another(tmp_path: Path) -> None:
    texts = [f'[gateway]\nid = "gw1"\n[{name}]\n{CONFIGURED[name]}\n' for name in SINKS]
    done = subprocess.run(
        [sys.executable, "-c", OPEN, *texts], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = {name: set(libraries) for name, *libraries in map(str.split, done.stdout.splitlines())}
    assert found == {name: LIBRARIES[name] for name in SINKS}, done.stderr


def test_code_makes_no_difference_between_destinations_by_name() -> None:
    """`mqtt` is also what an input's URL begins with."""
    names = set(SINKS) - {"mqtt"}
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "lora_post").rglob("*.py")
        if not path.is_relative_to(ROOT / "lora_post" / "sinks")
        if any(name in (text := path.read_text("utf-8")) for name in names)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert found == []


@pytest.mark.usefixtures("in_folder")
def test_destination_whose_table_has_a_mistake_is_skipped_and_the_others_are_checked() -> None:
    Path("lora-post.toml").write_text('[gateway]\nid = "gw1"\n[mqtt]\n[json_lines]\npath = "readings.jsonl"\n')
    out = lora_post("check", "--offline").out
    assert re.search(r"(?m)^skipped +mqtt +\[mqtt\] cannot be read$", out)
    assert re.search(r"(?m)^ok +json_lines ", out)
    assert "server" not in re.findall(r"(?m)^\w+ +(\w+)", out)


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
