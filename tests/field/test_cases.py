"""What people in the field reported comes out right; the pause of a retained message is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.field.cases import Case, cases


@pytest.mark.parametrize("case", cases(exact=False), ids=lambda case: case.name)
def test_case_comes_out_right(case: Case, tmp_path: Path) -> None:
    assert case.run(tmp_path) == case.right
