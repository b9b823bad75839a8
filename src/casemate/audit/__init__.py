"""The audit: weaknesses of an application before it is deployed, here and on other platforms.

Importers fill one model, rules are pure functions over it, outputs print what they find. Audited
code is never run or imported; the audit contacts no server and needs no node. What cannot be
resolved is reported with its place, never guessed. Data flow is in `flow`, which knows nothing of
the rest. May import `admission` (the comparison of grants), `advisories`, `guard`,
`manifest`, `masking`, `model` and `policy` of ours.
"""

from casemate.audit.accepting import baseline_text, read_baseline
from casemate.audit.auditing import NothingToAuditError, Options, applications_of, audit
from casemate.audit.changes import changed_since
from casemate.audit.comparing import duties_at
from casemate.audit.finding import Finding, Report, Severity
from casemate.audit.fixing import changes_for, left_alone
from casemate.audit.importers.aws.data import DataMissingError
from casemate.audit.model import Application, Function
from casemate.audit.workspace import Workspace
from casemate.audit.writing import NotWrittenError, write_beside, write_inside

__all__ = [
    "Application",
    "DataMissingError",
    "Finding",
    "Function",
    "NotWrittenError",
    "NothingToAuditError",
    "Options",
    "Report",
    "Severity",
    "Workspace",
    "applications_of",
    "audit",
    "baseline_text",
    "changed_since",
    "changes_for",
    "duties_at",
    "left_alone",
    "read_baseline",
    "write_beside",
    "write_inside",
]
