"""A module of cli/ is a command, unless its name begins with an underscore; so are those of cli/spool/, below it."""

from __future__ import annotations

import importlib
import pkgutil

import click
import pytest

from lora_post import cli
from lora_post.cli import LazyGroup, devices, spool
from tests.support.in_process import lora_post


def modules(path: list[str]) -> set[str]:
    return {
        module.name.rstrip("_").replace("_", "-")
        for module in pkgutil.iter_modules(path)
        if not module.name.startswith("_")
    }


def test_modules_without_underscore_are_the_commands() -> None:
    assert modules(cli.__path__) == set(LazyGroup.modules)
    assert modules(spool.__path__) == set(spool.command.commands)
    assert modules(devices.__path__) == set(devices.command.commands)
    for name in LazyGroup.modules:
        command = importlib.import_module(f"lora_post.cli.{name.replace('-', '_')}").command
        assert isinstance(command, click.Command) and command.name == name


@pytest.mark.parametrize("name", ["options", "_options", "output", "salvage", "reset-counter", "status"])
def test_what_is_no_command_is_not_offered(name: str) -> None:
    ran = lora_post(name)
    assert (ran.code, "No such command" in ran.err) == (2, True)
