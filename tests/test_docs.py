"""What the pages in docs/ call complete works as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lora_post.config import parse_config

ROOT = Path(__file__).parent.parent
COMPLETE = [
    pytest.param(found[1], id=f"{page.stem}-{number}")
    for page in sorted((ROOT / "docs").rglob("*.md"))
    for number, found in enumerate(
        re.finditer(r"<!-- complete -->\n```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    )
]


@pytest.mark.parametrize("text", COMPLETE)
def test_configuration_of_a_page_has_no_mistake(text: str, tmp_path: Path) -> None:
    for name in re.findall(r'_file = "([^"]+)"', text):
        (tmp_path / name).write_text("secret")
        (tmp_path / name).chmod(0o600)
    assert parse_config(text, tmp_path / "lora-post.toml", {}).warnings == ()
