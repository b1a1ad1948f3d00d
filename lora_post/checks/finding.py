"""What a check says."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Verdict(StrEnum):
    """How a check ended. SKIPPED: it could not be made, because of something reported before."""

    OK = "ok"
    WARNING = "warning"
    FAIL = "FAIL"
    SKIPPED = "skipped"


class Finding(Struct, frozen=True):
    """One verdict. subject: what was looked at. fix: what to do about it, "" when nothing is to be done."""

    subject: str
    verdict: Verdict
    text: str
    fix: str = ""


def ok(subject: str, text: str) -> Finding:
    return Finding(subject, Verdict.OK, text)


def warning(subject: str, text: str, fix: str = "") -> Finding:
    return Finding(subject, Verdict.WARNING, text, fix)


def fail(subject: str, text: str, fix: str = "") -> Finding:
    return Finding(subject, Verdict.FAIL, text, fix)


def skipped(subject: str, text: str) -> Finding:
    return Finding(subject, Verdict.SKIPPED, text)
