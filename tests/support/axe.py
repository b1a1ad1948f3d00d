"""axe-core in the real browser: what of a page somebody cannot see, hear or reach."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


def complaints(chromium: Chrome) -> list[str]:
    """The rules that the page breaks as it is now, each with the first part that does."""
    if not chromium.execute_script("return Boolean(window.axe)"):
        chromium.execute_script(resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8"))
    found = chromium.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    return [f"{broken['id']}: {broken['nodes'][0]['html']}" for broken in found["violations"]]
