"""README.md, its neighbours and docs/: their pages, blocks, headings, links and command lines."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from msgspec import Struct

from lora_post.cli import cli
from tests.support.paths import DOCS, ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"(?:^|[\s`|/(])lora-post (?!lora-post )(?=[a-z-])([^`|>&;)#\n]*)")
_SHELL = ("sh", "console")


class Block(Struct, frozen=True):
    """A fenced block. language: the word behind the fence."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """Where it stands, for messages."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """The blocks of all pages in these languages; all of them when none is given."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in _BLOCK.finditer(text):
            if not languages or match[1] in languages:
                found.append(Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2]))
    return found


def named(page: Path, name: str) -> str:
    """The block behind `<!-- name -->`."""
    found = re.search(rf"<!-- {name} -->\n```\w*\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    assert found, f"{page.relative_to(ROOT)} has no block {name}"
    return found[1]


def prose(page: Path) -> str:
    """A page without its blocks."""
    return _BLOCK.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """What links may name on a page: its headings, as they are written in addresses."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[str]:
    """Links into the repository."""
    return (link for link in _LINK.findall(prose(page)) if not re.match(r"[a-z]+:", link))


def command_lines(page: Path) -> Iterator[str]:
    """What is behind `lora-post` wherever a page shows a command: in shell blocks and in the text."""
    shown = [block.text for block in blocks(*_SHELL) if block.page == page]
    shown += re.findall(r"`lora-post [^`]+`", prose(page))
    for text in shown:
        yield from commands_in(text)


def commands_in(text: str) -> list[str]:
    """What is behind `lora-post` in a text."""
    return [match.strip() for match in _COMMAND.findall(re.sub(r"\\\n\s*", " ", text))]


def mistake_in(command_line: str) -> str:
    """Why there is no such command, argument or option; "" when there is."""
    text = re.sub(r"[\[\]…]", "", command_line.partition("  ")[0]).rstrip(" \"'")
    command: click.Command = cli
    words: Sequence[str] = shlex.split(text, comments=True)
    while True:
        context = click.Context(command)
        try:
            given, rest, _ = command.make_parser(context).parse_args(list(words))
            _check_values(command, given, context)
        except click.UsageError as error:
            return error.format_message()
        if not isinstance(command, click.Group) or not rest:
            return f"unexpected {' '.join(rest)}" if rest else ""
        inner = command.get_command(context, rest[0])
        if inner is None:
            return f"there is no command {rest[0]}"
        command, words = inner, rest[1:]


def _check_values(command: click.Command, given: dict[str, object], context: click.Context) -> None:
    """Choices and numbers; a word in capitals stands for any value."""
    for parameter in command.params:
        value = given.get(parameter.name or "")
        if isinstance(value, str) and not value.isupper() and not isinstance(parameter.type, click.Path):
            parameter.type.convert(value, parameter, context)
