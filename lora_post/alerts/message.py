"""Write a digest in words for people, and as JSON for programs."""

from __future__ import annotations

from typing import Any

from lora_post.alerts.book import Alert
from lora_post.alerts.outbox import Digest
from lora_post.clocks.scale import utc_text
from lora_post.text import span_text
from lora_post.times import WallUs


def subject(gateway: str, digest: Digest[WallUs]) -> str:
    """Return the gateway and the gist in one line."""
    standing = len(digest.raised) + len(digest.standing)
    if not standing:
        return f"{gateway}: everything is solved"
    if len(digest.raised) == 1 and not digest.standing:
        return f"{gateway}: {digest.raised[0].text}"
    return f"{gateway}: {standing} things need attention"


def body(gateway: str, digest: Digest[WallUs]) -> str:
    """Return the whole message."""
    parts = [
        ("Needs attention:", [_open_line(alert) for alert in digest.raised]),
        (
            "Solved:",
            [f"{alert.text} ({_moment(alert.raised_us)}, for {_length(alert)})" for alert in digest.cleared],
        ),
        ("Not solved yet:", [_open_line(alert) for alert in digest.standing]),
    ]
    blocks = ["\n".join([title, *(f"- {line}" for line in lines)]) for title, lines in parts if lines]
    return f"Gateway {gateway}\n\n" + "\n\n".join(blocks) + "\n"


def _open_line(alert: Alert[WallUs]) -> str:
    advice = alert.problem.advice
    return f"{alert.text} (since {_moment(alert.raised_us)})" + (f"\n  {advice}" if advice else "")


def as_json(gateway: str, digest: Digest[WallUs]) -> dict[str, Any]:
    """Return what a webhook gets; chat programs show `text`."""
    return {
        "gateway": gateway,
        "text": f"{subject(gateway, digest)}\n\n{body(gateway, digest)}",
        "raised": [_alert_json(alert) for alert in digest.raised],
        "cleared": [_alert_json(alert) for alert in digest.cleared],
        "standing": [_alert_json(alert) for alert in digest.standing],
    }


def _alert_json(alert: Alert[WallUs]) -> dict[str, Any]:
    found = {"key": alert.key, "text": alert.text, "raised": utc_text(alert.raised_us)}
    if alert.fix:
        found["fix"] = alert.fix
    if alert.cleared_us:
        found["cleared"] = utc_text(alert.cleared_us)
    return found


def _moment(time_us: WallUs) -> str:
    return utc_text(time_us - time_us % 1_000_000).replace("T", " ").replace("Z", " UTC")


def _length(alert: Alert[WallUs]) -> str:
    return span_text((alert.cleared_us - alert.raised_us) / 1e6)
