"""Facts as events of OCSF 1.3 (Open Cybersecurity Schema Framework): one table says of which class.

https://schema.ocsf.io/1.3.0. What has no attribute there stands in `unmapped`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from functools import cache
from typing import Any

import msgspec

from casemate import __version__
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model import advisory_facts, facts
from casemate.model import response_facts as response
from casemate.model.denial import Denial, DenialKind
from casemate.model.principal import ResourceKind
from casemate.recorder.errors import RecorderInputError

VERSION = "1.3.0"
MAX_TEXT = 4096
"""Characters of one text of a fact that are kept; longer ones end with a mark."""
_CUT = "... (cut)"
_FUNCTION = f"{ResourceKind.FUNCTION.value}:"
_LATEST = 1e11
"""No time of a fact is that late, in Unix time."""
_MOST_ALIKE = 1 << 53
"""What every reader of JSON takes as a number."""


class OcsfClass(IntEnum):
    """Classes of events; the thousands are the category."""

    COMPLIANCE_FINDING = 2003
    DETECTION_FINDING = 2004
    AUTHENTICATION = 3002
    USER_ACCESS_MANAGEMENT = 3005
    NETWORK_ACTIVITY = 4001
    HTTP_ACTIVITY = 4002
    APPLICATION_LIFECYCLE = 6002
    API_ACTIVITY = 6003


class Severity(IntEnum):
    """How grave it is."""

    INFORMATIONAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5


_UNKNOWN, _SUCCESS, _FAILURE = 0, 1, 2
OTHER = 99


class Mapped(msgspec.Struct, frozen=True):
    """What one kind of happening is in OCSF."""

    event: OcsfClass
    activity: int
    severity: Severity
    name: str
    """What happened, in words: `activity_name`."""
    failed: bool = False


_DENIALS: Mapping[DenialKind, Mapped] = {
    DenialKind.REQUEST: Mapped(OcsfClass.HTTP_ACTIVITY, OTHER, Severity.LOW, "Malformed request"),
    DenialKind.AUTHENTICATION: Mapped(
        OcsfClass.AUTHENTICATION, 1, Severity.MEDIUM, "Logon", failed=True
    ),
    DenialKind.AUTHORIZATION: Mapped(
        OcsfClass.API_ACTIVITY, OTHER, Severity.MEDIUM, "Forbidden", failed=True
    ),
    DenialKind.CAPABILITY: Mapped(
        OcsfClass.API_ACTIVITY, OTHER, Severity.MEDIUM, "Capability denied", failed=True
    ),
    DenialKind.EGRESS: Mapped(
        OcsfClass.NETWORK_ACTIVITY, 5, Severity.MEDIUM, "Refuse", failed=True
    ),
    DenialKind.SYSTEM_CALL: Mapped(
        OcsfClass.DETECTION_FINDING, 1, Severity.HIGH, "System call denied", failed=True
    ),
    DenialKind.GRANTS: Mapped(
        OcsfClass.USER_ACCESS_MANAGEMENT, 1, Severity.MEDIUM, "Wider grants refused", failed=True
    ),
    DenialKind.SIGNATURE: Mapped(
        OcsfClass.APPLICATION_LIFECYCLE, OTHER, Severity.HIGH, "Bundle refused", failed=True
    ),
    DenialKind.VAULT: Mapped(
        OcsfClass.API_ACTIVITY, OTHER, Severity.MEDIUM, "Vault refused", failed=True
    ),
    DenialKind.CONTRACT: Mapped(
        OcsfClass.API_ACTIVITY, OTHER, Severity.LOW, "Contract broken", failed=True
    ),
    DenialKind.INJECTION: Mapped(
        OcsfClass.DETECTION_FINDING, 1, Severity.HIGH, "Injection blocked", failed=True
    ),
    DenialKind.PACKAGE: Mapped(
        OcsfClass.DETECTION_FINDING, 1, Severity.HIGH, "Act of a package denied", failed=True
    ),
    DenialKind.ADVISORIES: Mapped(
        OcsfClass.COMPLIANCE_FINDING, 1, Severity.MEDIUM, "Vulnerabilities refused", failed=True
    ),
    DenialKind.LICENCE: Mapped(
        OcsfClass.COMPLIANCE_FINDING, 1, Severity.MEDIUM, "Licence refused", failed=True
    ),
    DenialKind.LOAD: Mapped(
        OcsfClass.API_ACTIVITY, OTHER, Severity.LOW, "Too many calls", failed=True
    ),
}

_MAPPED: Mapping[type[facts.Fact], Mapped] = {
    facts.OperationPerformed: Mapped(OcsfClass.API_ACTIVITY, 3, Severity.INFORMATIONAL, "Update"),
    facts.SignedIn: Mapped(OcsfClass.AUTHENTICATION, 1, Severity.INFORMATIONAL, "Logon"),
    facts.VersionDeployed: Mapped(
        OcsfClass.APPLICATION_LIFECYCLE, 8, Severity.INFORMATIONAL, "Update"
    ),
    facts.TriggerChanged: Mapped(
        OcsfClass.APPLICATION_LIFECYCLE, OTHER, Severity.INFORMATIONAL, "Trigger changed"
    ),
    facts.FunctionRemoved: Mapped(OcsfClass.APPLICATION_LIFECYCLE, 2, Severity.LOW, "Remove"),
    facts.FunctionQuarantined: Mapped(
        OcsfClass.APPLICATION_LIFECYCLE, OTHER, Severity.HIGH, "Quarantine"
    ),
    facts.FunctionReleased: Mapped(
        OcsfClass.APPLICATION_LIFECYCLE, OTHER, Severity.MEDIUM, "Release from quarantine"
    ),
    facts.AliasMoved: Mapped(
        OcsfClass.APPLICATION_LIFECYCLE, OTHER, Severity.INFORMATIONAL, "Alias moved"
    ),
    facts.GrantsApproved: Mapped(
        OcsfClass.USER_ACCESS_MANAGEMENT, 1, Severity.LOW, "Assign Privileges"
    ),
    facts.GrantUsed: Mapped(OcsfClass.API_ACTIVITY, OTHER, Severity.INFORMATIONAL, "Grant used"),
    facts.RiskAccepted: Mapped(OcsfClass.COMPLIANCE_FINDING, 1, Severity.MEDIUM, "Risk accepted"),
    facts.BaselineDeviation: Mapped(
        OcsfClass.DETECTION_FINDING, 1, Severity.MEDIUM, "Deviation from a baseline"
    ),
    facts.DecoyTouched: Mapped(
        OcsfClass.DETECTION_FINDING, 1, Severity.CRITICAL, "Decoy touched", failed=True
    ),
    facts.BudgetReached: Mapped(OcsfClass.DETECTION_FINDING, 1, Severity.MEDIUM, "Budget reached"),
    facts.BudgetSet: Mapped(OcsfClass.API_ACTIVITY, 3, Severity.LOW, "Budget set"),
    facts.RestrictionChanged: Mapped(
        OcsfClass.API_ACTIVITY, 3, Severity.MEDIUM, "Restriction changed"
    ),
    facts.SecretRotated: Mapped(OcsfClass.API_ACTIVITY, 3, Severity.MEDIUM, "Secret rotated"),
    facts.PeoplePaged: Mapped(OcsfClass.API_ACTIVITY, 1, Severity.HIGH, "People paged"),
    facts.CostAnomaly: Mapped(OcsfClass.DETECTION_FINDING, 1, Severity.HIGH, "Cost anomaly"),
    advisory_facts.AdvisoriesImported: Mapped(
        OcsfClass.API_ACTIVITY, 3, Severity.INFORMATIONAL, "Advisories imported"
    ),
    advisory_facts.AdvisoryExcepted: Mapped(
        OcsfClass.COMPLIANCE_FINDING, 1, Severity.MEDIUM, "Vulnerability accepted"
    ),
    advisory_facts.HoleFound: Mapped(
        OcsfClass.DETECTION_FINDING, 1, Severity.HIGH, "Vulnerability in a live function"
    ),
    advisory_facts.LicencesFound: Mapped(
        OcsfClass.COMPLIANCE_FINDING,
        1,
        Severity.MEDIUM,
        "Licences not allowed and live",
    ),
    advisory_facts.AdvisoriesUnreliable: Mapped(
        OcsfClass.COMPLIANCE_FINDING, 1, Severity.HIGH, "Advisories are not reliable"
    ),
    facts.BundleTampered: Mapped(
        OcsfClass.DETECTION_FINDING, 1, Severity.CRITICAL, "Bundle tampered with", failed=True
    ),
    facts.ControlStateRefused: Mapped(
        OcsfClass.DETECTION_FINDING, 1, Severity.CRITICAL, "Control state refused", failed=True
    ),
    facts.BuilderKeyAdded: Mapped(
        OcsfClass.USER_ACCESS_MANAGEMENT, 1, Severity.LOW, "Builder's key added"
    ),
    facts.BuilderKeyRevoked: Mapped(
        OcsfClass.USER_ACCESS_MANAGEMENT, 2, Severity.MEDIUM, "Builder's key revoked"
    ),
    facts.SigningRuleChanged: Mapped(
        OcsfClass.USER_ACCESS_MANAGEMENT, OTHER, Severity.MEDIUM, "Signing rule changed"
    ),
    facts.JournalOlder: Mapped(
        OcsfClass.APPLICATION_LIFECYCLE, OTHER, Severity.CRITICAL, "Journal older", failed=True
    ),
    facts.InvocationEnded: Mapped(
        OcsfClass.API_ACTIVITY, OTHER, Severity.INFORMATIONAL, "Invocation ended"
    ),
    response.AlertsSilenced: Mapped(OcsfClass.API_ACTIVITY, 3, Severity.MEDIUM, "Alerts silenced"),
    response.IncidentUpdated: Mapped(
        OcsfClass.API_ACTIVITY, 3, Severity.INFORMATIONAL, "Incident updated"
    ),
    facts.NodeAudited: Mapped(
        OcsfClass.COMPLIANCE_FINDING, 2, Severity.INFORMATIONAL, "Node audited"
    ),
    facts.WeaknessFound: Mapped(
        OcsfClass.COMPLIANCE_FINDING, 1, Severity.HIGH, "Weakness of the node"
    ),
    facts.AccessReviewed: Mapped(
        OcsfClass.USER_ACCESS_MANAGEMENT, OTHER, Severity.LOW, "Access reviewed"
    ),
    response.IncidentActed: Mapped(
        OcsfClass.API_ACTIVITY, OTHER, Severity.MEDIUM, "Incident acted on"
    ),
    response.EvidenceSealed: Mapped(OcsfClass.API_ACTIVITY, OTHER, Severity.LOW, "Evidence sealed"),
    response.EvidenceReleased: Mapped(
        OcsfClass.API_ACTIVITY, 4, Severity.MEDIUM, "Evidence released"
    ),
    response.PlaybookChanged: Mapped(
        OcsfClass.API_ACTIVITY, 3, Severity.MEDIUM, "Playbook changed"
    ),
    response.PlaybookRefused: Mapped(
        OcsfClass.API_ACTIVITY, OTHER, Severity.CRITICAL, "Playbook not believed", failed=True
    ),
    facts.RuntimeReplaced: Mapped(
        OcsfClass.APPLICATION_LIFECYCLE, 8, Severity.INFORMATIONAL, "Runtime replaced"
    ),
    facts.ReleaseChanged: Mapped(
        OcsfClass.APPLICATION_LIFECYCLE, 8, Severity.MEDIUM, "Release changed"
    ),
    response.PlaybookStep: Mapped(OcsfClass.API_ACTIVITY, OTHER, Severity.MEDIUM, "Playbook"),
}
_MONITORED: Mapping[type[facts.Fact], Mapped] = {
    response.Finding: Mapped(OcsfClass.DETECTION_FINDING, 1, Severity.INFORMATIONAL, "Finding"),
    response.AlertSent: Mapped(OcsfClass.API_ACTIVITY, OTHER, Severity.INFORMATIONAL, "Alert sent"),
    response.AlertFailed: Mapped(
        OcsfClass.API_ACTIVITY, OTHER, Severity.HIGH, "Alert given up", failed=True
    ),
}
_OWN: Mapping[type[facts.Fact], Mapped] = {
    facts.GatewayDoubtful: Mapped(
        OcsfClass.DETECTION_FINDING, 1, Severity.CRITICAL, "Gateway doubtful", failed=True
    ),
    facts.ClockStepped: Mapped(OcsfClass.API_ACTIVITY, OTHER, Severity.MEDIUM, "Clock stepped"),
    facts.JournalRestored: Mapped(
        OcsfClass.APPLICATION_LIFECYCLE, OTHER, Severity.HIGH, "Journal restored"
    ),
    facts.RecordsForgotten: Mapped(
        OcsfClass.API_ACTIVITY, 4, Severity.INFORMATIONAL, "Records forgotten"
    ),
    facts.NodeRecordsDoubtful: Mapped(
        OcsfClass.APPLICATION_LIFECYCLE, OTHER, Severity.HIGH, "Records of another node doubtful"
    ),
    facts.NodeJournalSeen: Mapped(
        OcsfClass.API_ACTIVITY, OTHER, Severity.INFORMATIONAL, "Journal of another node seen"
    ),
    facts.NodeTold: Mapped(
        OcsfClass.API_ACTIVITY, OTHER, Severity.INFORMATIONAL, "Told by another node"
    ),
}
_LEVELS: Mapping[str, Severity] = {each.name.lower(): each for each in Severity}
_DESTROYED = Mapped(OcsfClass.API_ACTIVITY, 4, Severity.LOW, "Delete")
_READ = Mapped(OcsfClass.API_ACTIVITY, 2, Severity.LOW, "Read")
_EFFECTS: Mapping[str, Mapped] = {"destroy": _DESTROYED, "read": _READ}
"""What an operation did, where it did not change something."""

KINDS: tuple[type[facts.Fact], ...] = (*_MAPPED, Denial)
"""All kinds of facts that the gateway has recorded. What is missing here is a hint and no
happening."""
MONITOR_KINDS: tuple[type[facts.Fact], ...] = tuple(_MONITORED)
"""Those that the monitor has recorded, and nobody else."""
OWN_KINDS: tuple[type[facts.Fact], ...] = tuple(_OWN)
"""Those that the recorder itself tells, and nobody else."""
NAMED: Mapping[str, type[facts.Fact]] = {
    kind.__name__: kind for kind in (*KINDS, *MONITOR_KINDS, *OWN_KINDS)
}
"""All that are recorded by their names, as `metadata.event_code` has them."""
_BASE = frozenset(facts.Fact.__struct_fields__)


def mapped(fact: facts.Fact) -> Mapped:
    """Return what a fact is in OCSF. KeyError for one that is not recorded."""
    if isinstance(fact, Denial):
        return _DENIALS[fact.kind]
    if isinstance(fact, facts.OperationPerformed):
        return _EFFECTS.get(fact.effect, _MAPPED[type(fact)])
    if isinstance(fact, response.Finding):
        severity = _LEVELS.get(fact.level, Severity.INFORMATIONAL)
        return msgspec.structs.replace(_MONITORED[response.Finding], severity=severity)
    return _MAPPED.get(type(fact)) or _MONITORED.get(type(fact)) or _OWN[type(fact)]


@cache
def _decoder(kind: str) -> Callable[[bytes], facts.Fact]:
    """Return what reads facts of a kind. KeyError for one that is not recorded.

    Made when the first comes: gateway and monitor need none, and a recorder few of them.
    """
    return msgspec.msgpack.Decoder(decodable(NAMED[kind])).decode


def decode(kind: str, data: bytes) -> facts.Fact:
    """Return a fact that has travelled. Raises RecorderInputError."""
    try:
        fact = _decoder(kind)(data)
    except (KeyError, *DECODING_ERRORS) as error:
        raise RecorderInputError(
            f"{kind[:64]!r} is no fact that is recorded, or not whole.",
            next_step="Use the gateway of the node's own version.",
        ) from error
    if not 0 <= fact.at < _LATEST:  # so is what is no number
        raise RecorderInputError(f"{kind[:64]!r} has a time that no clock says.")
    return fact


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return value[: MAX_TEXT - len(_CUT)] + _CUT
    return value


def _named(fact: facts.Fact) -> str:
    """Return the function that a denial names though it is of none; rules count these names."""
    if not isinstance(fact, Denial) or fact.project or not fact.resource.startswith(_FUNCTION):
        return ""
    return str(_cut(fact.resource.removeprefix(_FUNCTION)))


def _status(fact: facts.Fact, what: Mapped) -> int:
    if isinstance(fact, facts.OperationPerformed) and fact.unfinished:
        return _UNKNOWN
    return _FAILURE if what.failed else _SUCCESS


def event(fact: facts.Fact, count: int, uid: str, logged: float | None = None) -> bytes:
    """Return a fact as an event of OCSF, in JSON. `count` facts alike are one event.

    `logged` is the time of the recorder's own clock, which who tells facts cannot choose.
    """
    what = mapped(fact)
    own = {
        name: _cut(getattr(fact, name))
        for name in type(fact).__struct_fields__
        if name not in _BASE and name != "count" and (name != "node" or type(fact) is not Denial)
    }
    if isinstance(fact, facts.NodeTold):
        own["event"] = msgspec.Raw(fact.event)  # as it stands in the other journal
    user = _cut(fact.by) or "node"
    if isinstance(fact, facts.Accountable) and fact.account is msgspec.UNSET:
        own["account"] = user
    alike = min(getattr(fact, "count", 1) * count, _MOST_ALIKE)
    function = f"{fact.project}/{fact.function}" if fact.function else _named(fact)
    found: dict[str, Any] = {
        "class_uid": int(what.event),
        "category_uid": what.event // 1000,
        "activity_id": what.activity,
        "activity_name": what.name,
        "type_uid": what.event * 100 + what.activity,
        "severity_id": int(what.severity),
        "status_id": _status(fact, what),
        "time": int(fact.at * 1000),
        "metadata": {
            "version": VERSION,
            "uid": uid,
            "event_code": type(fact).__name__,
            "product": {"name": "Casemate", "vendor_name": "Casemate", "version": __version__},
        },
        "actor": {"user": {"name": user}},
        "unmapped": own,
    }
    if logged is not None:
        found["metadata"]["logged_time"] = int(logged * 1000)
    if fact.remote_address:
        found["src_endpoint"] = {"ip": fact.remote_address}
    if fact.project:
        found["cloud"] = {"project_uid": fact.project}
    if function:
        found["resources"] = [{"type": "function", "name": function, "version": str(fact.version)}]
    if fact.invocation:
        found["metadata"]["correlation_uid"] = fact.invocation
    if alike > 1:
        found["count"] = alike
    if "action" in own:
        found["api"] = {"operation": own["action"]}
    if "reason" in own:
        found["message"] = own["reason"]
    if isinstance(fact, response.Finding):
        found["finding_info"] = {"uid": fact.finding, "title": own["title"]}
    return msgspec.json.encode(found)
