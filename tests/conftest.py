from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure: nothing here depends on how long an example takes.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-expected",
        action="store_true",
        help="Write fixtures/NAME.expected.json from what the pipeline makes of each capture; read the diff.",
    )
