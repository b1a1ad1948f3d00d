"""What docs/architecture.md takes from the code: the folders by layer, and the steps of a frame and of a reading."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.paths import DOCS, ROOT

PAGE: Final = DOCS / "architecture.md"
PACKAGE: Final = ROOT / "lora_post"
MADE: Final = "made by `python -m tests.docs --update`; a test compares it with the code"

FRAME: Final = (
    ("inputs/byte_streams.py", "ByteStream.read"),
    ("formats/parser.py", "Parser.feed"),
    ("inputs/__init__.py", "Input.events"),
    ("run/pipeline.py", "Pipeline.handle"),
    ("clocks/gateway.py", "GatewayClock.stamp"),
    ("uplink/unlock.py", "unlock"),
    ("decoding/choice.py", "Decoding.decode"),
    ("spool/ledger.py", "Group.accept"),
    ("spool/queue_writer.py", "QueueWriter.put"),
)
READING: Final = (
    ("upload/waiting_lanes.py", "WaitingLanes.look"),
    ("upload/waiting_lanes.py", "WaitingLanes.take"),
    ("spool/queue.py", "Queue.claim"),
    ("sinks/sink.py", "Sink.prepare"),
    ("sinks/sink.py", "Sink.send"),
    ("sinks/sink.py", "Sink.stored"),
    ("upload/doubt.py", "DoubtRules.after_look"),
    ("upload/confirmed.py", "Confirmed.add"),
    ("spool/queue.py", "Queue.settle"),
)

_DEFINITION: Final = re.compile(r"^\s*(?:class |def )?(\w+)", re.MULTILINE)
"""Where a line begins with a name that it may define."""


def refreshed(text: str) -> str:
    """Return the page with its generated blocks as the code has them now."""
    for name, block in {"layers": layers(), "frame": steps(FRAME), "reading": steps(READING)}.items():
        before, fence, rest = text.partition(f"<!-- {name}: {MADE} -->\n```text\n")
        if not fence:
            raise ValueError(f"docs/architecture.md: there is no block behind <!-- {name}: {MADE} -->")
        text = before + fence + block + rest[rest.index("```\n") :]
    return text


def rungs(container: str = "lora_post") -> list[list[str]]:
    """Return the layers of a package by its import contract, highest first, with the names on each; [] for none."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = [each["layers"] for each in contracts if each.get("containers") == [container]]
    return [rung.split(" | ") for each in layers for rung in each]


def layers() -> str:
    """Return each folder and module of lora_post/ with its docstring's first line, a paragraph a layer."""
    return "\n".join("".join(line for name in rung for line in _entries(PACKAGE / name)) for rung in rungs())


def _entries(path: Path, indent: str = "") -> Iterator[str]:
    """Yield the line of a module or folder, and those of what it holds where it has a contract of its own."""
    if not path.is_dir():
        yield f"{f'{indent}{path.name}.py':<18} {first_line(path.with_suffix('.py'))}\n"
        return
    yield f"{f'{indent}{path.name}/':<18} {first_line(path)}\n"
    for rung in rungs(".".join(path.relative_to(ROOT).parts)):
        for name in rung:
            yield from _entries(path / name, f"{indent}  ")


def first_line(path: Path) -> str:
    """Return the first line of the docstring of a module or package, "" for none."""
    module = path / "__init__.py" if path.is_dir() else path
    return (ast.get_docstring(_parsed(module)) or "").partition("\n")[0]


def steps(path: tuple[tuple[str, str], ...]) -> str:
    """Return the name, module and purpose of each step of a path: the first clause of its docstring."""
    return "".join(_step(module, name) for module, name in path)


def _step(module: str, name: str) -> str:
    found = _function(PACKAGE / module, name.split("."))
    purpose = re.split(r"[.:;,] ", (ast.get_docstring(found) or "").partition("\n")[0])[0].removesuffix(".")
    return f"{name}, {module}\n    {purpose}\n"


def _function(module: Path, name: list[str]) -> ast.FunctionDef:
    nodes: list[ast.stmt] = _parsed(module).body
    for part in name:
        named = [node for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == part]
        if not named:
            raise ValueError(f"{module.relative_to(ROOT)} has no {'.'.join(name)}; correct tests/docs/architecture.py")
        found = named[0]
        nodes = found.body
    if not isinstance(found, ast.FunctionDef):
        raise ValueError(f"{module.relative_to(ROOT)}: {'.'.join(name)} is not a function")
    return found


def undefined(names: set[str]) -> set[str]:
    """Return those of the names that no class, function, constant or type alias of lora_post/ has."""
    wanted = set(names)
    for module in PACKAGE.rglob("*.py"):
        text = module.read_text("utf-8")
        if wanted.isdisjoint(_DEFINITION.findall(text)):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                wanted.discard(node.name)
            elif isinstance(node, ast.AnnAssign | ast.Assign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                wanted -= {target.id for target in targets if isinstance(target, ast.Name)}
    return wanted


def _parsed(module: Path) -> ast.Module:
    return ast.parse(module.read_text("utf-8"))
