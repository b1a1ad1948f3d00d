"""Say what an exception that nobody expected was: where it happened, and its traceback once."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

_MAX_TOLD: Final = 64
_told: set[str] = set()


def defect(error: Exception) -> str:
    """Return the type of an exception and the function that raised it; log its traceback the first time."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}, {frames[-1].name}" if frames else ""
    text = f"{type(error).__name__}{place}"
    if text not in _told and len(_told) < _MAX_TOLD:
        _told.add(text)
        log.error("lora-post itself failed, please report this: %s", text, exc_info=error)
    return text
