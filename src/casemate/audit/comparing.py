"""The table of duties of what was audited, on its own platform and on the other."""

from __future__ import annotations

from pathlib import Path

from casemate.audit.auditing import applications_of
from casemate.audit.duties import Carried, duties_of
from casemate.audit.finding import Report
from casemate.audit.model import Platform
from casemate.audit.workspace import Workspace


def duties_at(path: Path, report: Report) -> dict[str, list[Carried]]:
    """Return the tables for Casemate and for AWS Lambda, each with its evidence."""
    applications = list(applications_of(Workspace(path)))
    return {
        platform.value: duties_of(platform, applications, report.findings)
        for platform in (Platform.CASEMATE, Platform.AWS)
    }
