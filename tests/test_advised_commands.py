"""Every command that a text advises can be pasted into a shell, whatever its names hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import lora_post

COMMAND = re.compile(
    r"\b(?:lora-post (?:spool|check|decoders|devices|decode|replay|run|sandbox)"
    r"|sudo|systemctl|chmod|chown|mkdir) [-a-z]"
)
QUOTED = {
    "config_option",  # quotes
    "option",  # of `config_option`
    "shown",  # quoted where it is made
    "others[0].sender",  # hex digits, see `claimed_sender`
    "src",  # a number
    "SERVICE",  # the unit's name
    "_chown(parent)",  # quotes
    "' '.join(map(str, sorted(found)))",  # numbers
}
WORDS = re.compile(r"lora-post|sudo|systemctl|chmod|chown|mkdir")
ARGUMENT = re.compile(r"%[sr]|\{[a-z0-9]*\}")


def is_quoted(node: ast.expr) -> bool:
    text = ast.unparse(node)
    return text in QUOTED or bool(re.match(r"(shlex\.)?(quote|join)\(", text))


def is_number(part: ast.FormattedValue) -> bool:
    """Whether it is written as hex: nothing but a number can be."""
    return part.format_spec is not None and ast.unparse(part.format_spec).endswith("x'")


def unquoted(tree: ast.AST) -> Iterator[str]:
    """Yield what is put into a command as it is; f-strings, `%` of the log, `format`."""
    parts: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts.update(map(id, node.values))
            advises = False
            for part in node.values:
                if isinstance(part, ast.Constant):
                    *lines, last = str(part.value).split("\n")  # a command ends with its line
                    advises = bool(COMMAND.search(last)) or (advises and not lines)
                elif (
                    advises and isinstance(part, ast.FormattedValue) and not (is_number(part) or is_quoted(part.value))
                ):
                    yield f"line {part.lineno}: {ast.unparse(part.value)}"
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            text = str(node.args[0].value)
            if command := COMMAND.search(text):
                parts.add(id(node.args[0]))
                before = len(ARGUMENT.findall(text[: command.start()]))
                inside = len(ARGUMENT.findall(text[command.start() :]))
                for argument in node.args[1 + before : 1 + before + inside]:
                    if not is_quoted(argument):
                        yield f"line {argument.lineno}: {ast.unparse(argument)}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            command = COMMAND.search(node.value)
            if command and ARGUMENT.search(node.value, command.start()) and "\n" not in node.value:
                yield f"line {node.lineno}: a template: {node.value}"


def test_whatever_is_put_into_a_command_is_quoted() -> None:
    folder = Path(lora_post.__file__).parent
    found = [
        f"{path.relative_to(folder)} {what}"
        for path in sorted(folder.rglob("*.py"))
        if WORDS.search(text := path.read_text("utf-8"))
        for what in unquoted(ast.parse(text))
    ]
    assert found == []


def test_what_is_not_quoted_is_found() -> None:
    code = (
        'f"run: sudo chown {path}"',
        'log.error("%s: lora-post spool salvage %s", path, aside)',
        'FIX = "lora-post spool move {} NEW-ID"',
    )
    assert [len(list(unquoted(ast.parse(each)))) for each in code] == [1, 1, 1]
    assert not list(unquoted(ast.parse('f"{name}: sudo chown {quote(path)}"')))
