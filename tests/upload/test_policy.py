"""The numbers that an uploader goes by are passed to it, never changed behind its back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

UPLOAD = ("lora_post.upload.", "lora_post.net.backoff.")
WORDS = re.compile(r"""["']lora_post\.(upload|net\.backoff)\.|uploader\b.*\._""", re.IGNORECASE)
"""What a file has that is worth a look at its tree."""


def constants_patched(code: str) -> Iterator[str]:
    """Names of constants of the uploader, written down as monkeypatch and mock.patch take them."""
    for node in ast.walk(ast.parse(code)):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and text.startswith(UPLOAD) and text.rpartition(".")[2].isupper():
            yield text


def insides_of_uploaders(code: str) -> Iterator[str]:
    """Attributes beginning with _ of what is called an uploader."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and "uploader" in ast.unparse(node.value):
            yield ast.unparse(node)


def test_no_test_patches_a_constant_of_upload_or_reaches_into_an_uploader() -> None:
    paths = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    codes = {path: path.read_text() for path in paths}
    assert len(codes) > 100
    codes = {path: code for path, code in codes.items() if WORDS.search(code)}
    found = {path: [*constants_patched(code), *insides_of_uploaders(code)] for path, code in codes.items()}
    assert {path: what for path, what in found.items() if what} == {}


def test_search_finds_both() -> None:
    code = 'patch.setattr("lora_post.upload." "uploader.ASK_AFTER_S", 0)\nsite.uploader()._queue.counts()\n'
    assert list(constants_patched(code)) == ["lora_post.upload.uploader.ASK_AFTER_S"]
    assert list(insides_of_uploaders(code)) == ["site.uploader()._queue"]
    assert all(WORDS.search(line) for line in code.splitlines())
