"""Define a line of `lora-post check`."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Grade(StrEnum):
    """How a check ended. SKIPPED: it could not be made, because of something reported before."""

    OK = "ok"
    WARNING = "warning"
    FAIL = "FAIL"
    SKIPPED = "skipped"


class Finding(Struct, frozen=True):
    """One line of a check. subject: what was looked at. fix: what to do, "" for nothing."""

    subject: str
    verdict: Grade
    text: str
    fix: str = ""


def ok(subject: str, text: str) -> Finding:
    return Finding(subject, Grade.OK, text)


def warning(subject: str, text: str, fix: str = "") -> Finding:
    return Finding(subject, Grade.WARNING, text, fix)


def fail(subject: str, text: str, fix: str = "") -> Finding:
    return Finding(subject, Grade.FAIL, text, fix)


def skipped(subject: str, text: str) -> Finding:
    return Finding(subject, Grade.SKIPPED, text)
