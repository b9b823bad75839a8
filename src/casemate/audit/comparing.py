"""The table of duties of what was audited, on its own platform and on the other."""

from __future__ import annotations

from pathlib import Path

from casemate.audit.auditing import applications_of
from casemate.audit.duties import Carried, duties_of
from casemate.audit.finding import Report
from casemate.audit.model import Platform
from casemate.audit.workspace import Workspace


def duties_at(path: Path, report: Report) -> dict[str, list[Carried]]:
    """Return the tables for Casemate and for AWS Lambda, the evidence beside its own platform."""
    applications = list(applications_of(Workspace(path)))
    own = applications[0].platform if applications else Platform.AWS
    tables = {}
    for platform in (Platform.CASEMATE, Platform.AWS):
        mine = own is platform or (platform is Platform.AWS and own is not Platform.CASEMATE)
        findings = report.findings if mine else ()
        rows = duties_of(platform, applications, findings)
        tables[platform.value] = rows
    return tables
