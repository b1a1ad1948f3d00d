"""Write a digest in words for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from lora_post.alerts.book import Alert
from lora_post.alerts.outbox import Digest
from lora_post.clocks.scale import utc_text
from lora_post.text import plural, span_text
from lora_post.times import WallUs

MAX_LISTED: Final = 100
"""Of each kind in one message: when a thousand devices are silent, nobody reads on, and a SIM pays for it."""


def subject(gateway: str, digest: Digest[WallUs]) -> str:
    """Return the gateway and the gist in one line."""
    standing = len(digest.raised) + len(digest.standing)
    if not standing:
        return f"{gateway}: everything is solved"
    if len(digest.raised) == 1 and not digest.standing:
        return f"{gateway}: {digest.raised[0].text}"
    return f"{gateway}: {plural(standing, 'thing')} to look at"


def body(gateway: str, digest: Digest[WallUs]) -> str:
    """Return the whole message."""
    parts = [
        ("Needs attention:", digest.raised, _open_line),
        ("Solved:", digest.cleared, _over_line),
        ("Not solved yet:", digest.standing, _open_line),
    ]
    blocks = ["\n".join([title, *_lines(alerts, line)]) for title, alerts, line in parts if alerts]
    return f"Gateway {gateway}\n\n" + "\n\n".join(blocks) + "\n"


def _lines(alerts: Sequence[Alert[WallUs]], line: Callable[[Alert[WallUs]], str]) -> Iterator[str]:
    for alert in alerts[:MAX_LISTED]:
        yield f"- {line(alert)}"
    if len(alerts) > MAX_LISTED:
        yield f"- and {len(alerts) - MAX_LISTED} more, see the status page"


def _over_line(alert: Alert[WallUs]) -> str:
    return f"{alert.text} ({_moment(alert.raised_us)}, for {_length(alert)})"


def _open_line(alert: Alert[WallUs]) -> str:
    advice = alert.problem.advice
    return f"{alert.text} (since {_moment(alert.raised_us)})" + (f"\n  {advice}" if advice else "")


def as_json(gateway: str, digest: Digest[WallUs]) -> dict[str, Any]:
    """Return what a webhook gets; chat programs show `text`."""
    lists = {"raised": digest.raised, "cleared": digest.cleared, "standing": digest.standing}
    more = {name: len(alerts) - MAX_LISTED for name, alerts in lists.items() if len(alerts) > MAX_LISTED}
    return {
        "gateway": gateway,
        "text": f"{subject(gateway, digest)}\n\n{body(gateway, digest)}",
        **{name: [_alert_json(alert) for alert in alerts[:MAX_LISTED]] for name, alerts in lists.items()},
        **({"more": more} if more else {}),
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
