"""Accept a report as the pipeline does: the uplink first, then what it says."""

from __future__ import annotations

from lora_post.spool.ledger import Group
from lora_post.uplink.model import Report, Session


def keep(group: Group, report: Report, session: Session | None) -> None:
    """Accept the uplink of a report, with its readings and the counter that it advances."""
    group.accept(report.uplink, session)
    group.reports.append(report)
