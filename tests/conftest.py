from __future__ import annotations

import asyncio
import functools
import gc
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import uvicorn.server
from _pytest.runner import runtestprotocol

os.environ["HYPOTHESIS_NO_PLUGINS"] = "1"  # that of trio, which selenium brings, imports trio

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from lora_post.clocks.gateway import NOBODY_COMES_US
from lora_post.clocks.system import SystemClock
from lora_post.decoding import loading
from tests.support.paths import ROOT
from tests.support.programs import advice
from tests.support.rows import fold, one_test_a_table

gc.disable()  # until all tests are collected: they stay

# Tests start the command some hundred times: it is compiled once, also where the environment asks for no byte code.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# In memory, where there is room: else they wait for the disk, for hundreds of files with all that is synced to them.
SHARED_MEMORY = Path("/dev/shm")
if SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > 2 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(SHARED_MEMORY))

# What commands remember for their user (the counters of `simulate`) is not that of whoever runs the tests.
_state = tempfile.TemporaryDirectory(prefix="lora-post-tests-")
os.environ["XDG_STATE_HOME"] = _state.name

# A busy machine is no failure: nothing here depends on how long an example takes. What passes once passes again: a
# fault that one example in ten thousand shows is for the profile that is made to look for it.
settings.register_profile(
    "suite", max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
# With the long tests, in .ci/run.
settings.register_profile("thorough", settings.get_profile("suite"), max_examples=60)
# More of them, for a night: pytest --hypothesis-profile long
settings.register_profile("long", settings.get_profile("suite"), max_examples=5000, derandomize=False)
settings.load_profile("suite")


def _is_ours(path: str) -> bool:
    return path.startswith((f"{ROOT}/lora_post/", f"{ROOT}/decoders/"))


# Hypothesis takes numbers and texts from our code; which modules are ours it asks the disk, for two thousand of them.
vars(providers)["is_local_module_file"] = _is_ours


class _Brisk:
    """What uvicorn needs of asyncio; it looks a hundred times a second, not ten, whether it is to end."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s / 10)


# Some hundred tests have a server of their own, which takes 0.15 s to end: half a minute in which nothing happens.
vars(uvicorn.server)["asyncio"] = _Brisk()


_load_decoder = loading.load_decoder
_loaded_once = functools.cache(_load_decoder)
_shipped = loading.shipped_folder()

# A command loads all decoders that are shipped, which takes 20 ms: a thousand commands in one process load them once.
vars(loading)["load_decoder"] = lambda path: (_loaded_once if path.parent == _shipped else _load_decoder)(path)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-expected",
        action="store_true",
        help="Write fixtures/NAME.expected.json from what the pipeline makes of each capture; read the diff.",
    )


@pytest.hookimpl(trylast=True)  # when the rows are known
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    fold(metafunc)


@pytest.hookimpl(trylast=True)  # when rows and tests have been chosen
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = one_test_a_table(items)


def pytest_collection_finish() -> None:
    """Leave thousands of tests, which stay until the end, out of the search for garbage, and search seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)  # which takes a tenth less time in all
    gc.enable()
    # Not those of modules that tests import later, some here and some there.
    constants = providers._get_local_constants()
    vars(providers)["_get_local_constants"] = lambda: constants


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Tell the process that gathers results once that a test passed: six messages a test take seconds in all."""
    option = item.config.option
    if not hasattr(item.config, "workerinput") or option.durations or option.xmlpath:
        return None
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed:
            item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test logs may hold half a surrogate pair, which cannot be handed to the process that gathers results."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the packages that skipped tests want, in one line."""
    skipped = [report.longrepr for report in terminalreporter.getreports("skipped")]
    if line := advice([place[2] for place in skipped if isinstance(place, tuple)]):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def believed_clock() -> None:
    """Real runs without Waziup hold readings back just after a start, unless something vouches for the clock."""
    system = SystemClock()
    while not system.vouches() and system.boot_us() < NOBODY_COMES_US:
        time.sleep(1)
