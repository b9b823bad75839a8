"""Facts as events of OCSF: every kind has its class, and nothing is too long."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from casemate.model import advisory_facts, facts
from casemate.model import response_facts as response
from casemate.model.denial import Denial, DenialKind
from casemate.recorder import ocsf
from casemate.recorder.errors import RecorderInputError
from casemate.recorder.protocol import MAX_FACT_BYTES

HINTS = {
    facts.Fact,
    facts.Accountable,
    facts.LogsWritten,
    facts.HostAsked,
    facts.InvocationMeasured,
    facts.ShapesMet,
    facts.SystemCallsMet,
    facts.PackageActed,
}
"""No happenings of their own."""
SAMPLES: dict[type[facts.Fact], dict[str, Any]] = {
    facts.OperationPerformed: {"operation": "addUser", "effect": "change", "action": "a:b"},
    facts.SignedIn: {"method": "password"},
    facts.JournalOlder: {"entries": 1, "had": 3},
    facts.JournalRestored: {"made_at": 1.0, "entries": 3, "archive": "ab"},
    facts.GatewayDoubtful: {"reason": "it sent what is no message"},
    facts.ClockStepped: {"seconds": -3600.0},
    facts.RecordsForgotten: {"record": "log_line", "count": 3, "total": 9},
    facts.NodeRecordsDoubtful: {"node": "b", "what": "its batches 2 to 3 are missing"},
    facts.NodeTold: {"node": "b", "entry": "e-1", "kind": "Finding", "event": b"{}"},
    facts.NodeJournalSeen: {"node": "b", "origin": "casemate/b", "size": 3, "root": "ab"},
    facts.VersionDeployed: {"digest": "ab"},
    facts.TriggerChanged: {
        "trigger": "schedule",
        "change": "changed",
        "name": "nightly",
        "when": "every 60 s",
        "first": False,
    },
    facts.FunctionRemoved: {},
    facts.AliasMoved: {"alias": "live", "targets": ((3, 1.0),)},
    facts.FunctionQuarantined: {"reason": "MAL-1", "killed": True},
    facts.FunctionReleased: {"reason": "mended"},
    advisory_facts.AdvisoriesImported: {"source": "osv.zip", "imported": 7.0, "records": 3},
    advisory_facts.AdvisoryExcepted: {
        "exception": "exc_1",
        "advisory": "GHSA-1",
        "package": "left",
        "reason": "not reached",
        "expires_at": 9.0,
    },
    advisory_facts.HoleFound: {
        "package": "left 1.0",
        "advisory": "GHSA-1",
        "severity": "high",
        "malicious": False,
        "known_exploited": True,
        "fixed": ("2.0",),
        "verdict": "refused",
        "reason": "it is high",
        "count": 2,
    },
    advisory_facts.LicencesFound: {
        "found": ("left 1.0: licence:GPL-3.0-only",),
        "verdict": "refused",
        "reason": "GPL-3.0-only is not among those allowed: MIT",
        "count": 2,
    },
    advisory_facts.AdvisoriesUnreliable: {"reason": "old"},
    facts.GrantsApproved: {"added": ("bucket:read photos",)},
    facts.GrantUsed: {"grant": "bucket:read photos", "action": "bucket:read", "count": 3},
    facts.RiskAccepted: {"risk": "landlock"},
    facts.RuntimeReplaced: {"python": "3.12", "files": ("/usr/lib/libssl.so.3",), "count": 1},
    facts.ReleaseChanged: {"release": "1.4.0", "before": "1.3.2"},
    facts.DecoyTouched: {
        "kind": "token",
        "decoy": "shop/token/1",
        "action": "present:/api/",
        "count": 2,
    },
    facts.BaselineDeviation: {"kind": "host", "value": "x.com:443", "refused": True, "count": 4},
    facts.BudgetReached: {"budget": "month", "percent": 80, "hard": True, "reason": "80 of 100"},
    facts.RestrictionChanged: {
        "restriction": "res_1",
        "change": "set",
        "kind": "host",
        "what": "evil.example",
        "reason": "inc_1",
    },
    facts.SecretRotated: {
        "secret": "db-password",
        "change": "rotate",
        "step": "begins",
        "version": 3,
        "reason": "inc_1",
    },
    facts.PeoplePaged: {"page": "run_1", "to": "primary", "message": "The shop is down"},
    facts.BudgetSet: {"budget": "month", "change": "lift", "reason": "a sale", "seconds": 60},
    facts.CostAnomaly: {"times": 31, "reason": "31 times as much as usual"},
    facts.InvocationEnded: {"outcome": "ok"},
    facts.BundleTampered: {"digest": "ab", "what": "bundle", "reason": "a byte differs"},
    facts.ControlStateRefused: {"reason": "rows are not what nodes have written"},
    facts.BuilderKeyAdded: {"key": "ab", "first": True},
    facts.BuilderKeyRevoked: {"key": "ab", "since": 1.0, "reason": "the laptop is gone"},
    facts.SigningRuleChanged: {"keys": ("ab",), "threshold": 1},
    response.IncidentUpdated: {
        "incident": "inc_1",
        "change": "state",
        "value": "resolved",
        "text": "mended",
    },
    facts.NodeAudited: {
        "score": 80,
        "before": -1,
        "critical": 0,
        "high": 1,
        "medium": 2,
        "low": 3,
    },
    facts.WeaknessFound: {
        "rule": "NODE-005",
        "level": "critical",
        "subject": "address:0.0.0.0:80",
        "reason": "without TLS",
        "mended_by": "casemate serve",
    },
    facts.AccessReviewed: {
        "subject": "user:ada",
        "decision": "keep",
        "reason": "still there",
        "own": False,
        "done": "",
    },
    response.IncidentActed: {
        "incident": "inc_1",
        "action": "quarantine",
        "target": "function:shop/pay",
        "undo": "casemate release shop/pay",
        "problem": "",
    },
    response.EvidenceSealed: {
        "evidence": "evi_1",
        "incident": "inc_1",
        "sha256": "ab",
        "size": 9,
    },
    response.EvidenceReleased: {
        "evidence": "evi_1",
        "incident": "inc_1",
        "sha256": "ab",
        "reason": "the case is closed",
    },
    response.PlaybookChanged: {
        "playbook": "escape-tried",
        "change": "put",
        "digest": "ab",
        "reason": "",
        "seconds": 0,
        "playbook_version": 2,
    },
    response.PlaybookRefused: {
        "playbook": "escape-tried",
        "playbook_version": 2,
        "problem": "it is not what the vault has signed",
    },
    response.PlaybookStep: {
        "playbook": "escape-tried",
        "run": "run_1",
        "incident": "inc_1",
        "finding": "9f2c51aa03b1e7d4",
        "step": "done",
        "action": "quarantine",
        "target": "function:shop/pay",
        "undo": "casemate release shop/pay",
        "reason": "",
    },
    response.AlertsSilenced: {"rule": "tokens-tried", "seconds": 60, "reason": "a test"},
    response.Finding: {
        "finding": "9f2c51aa03b1e7d4",
        "rule": "tokens-tried",
        "level": "high",
        "title": "Tokens are tried",
        "entity": "src_endpoint.ip=192.0.2.7",
        "who": "",
        "events": ("a-1", "a-2"),
        "techniques": ("T1110",),
        "count": 30,
    },
    response.AlertSent: {"channel": "pager", "findings": ("9f2c51aa03b1e7d4",)},
    response.AlertFailed: {
        "channel": "pager",
        "findings": ("a",),
        "reason": "It answers 500.",
    },
    Denial: {
        "kind": DenialKind.INJECTION,
        "action": "sql",
        "resource": "sink",
        "reason": "changed",
    },
}

ALL = (*ocsf.KINDS, *ocsf.MONITOR_KINDS, *ocsf.OWN_KINDS)


def sample(of: type[facts.Fact], **changes: Any) -> facts.Fact:
    fields = {
        "at": 1764201600.25,
        "by": "user:ada",
        "remote_address": "192.0.2.7",
        "project": "shop",
        "function": "cart",
        "version": 3,
        "invocation": "inv_1",
    }
    return of(**{**fields, **SAMPLES[of], **changes})


def read(fact: facts.Fact, count: int = 1) -> dict[str, Any]:
    return msgspec.json.decode(ocsf.event(fact, count, "abc-1"))


def test_every_kind_of_fact_is_recorded_or_a_hint() -> None:
    kinds = {
        each
        for module in (facts, advisory_facts, response)
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, facts.Fact)
    }
    assert {*kinds, Denial} - HINTS == set(ALL)
    assert set(SAMPLES) == set(ALL)
    assert not set(ocsf.KINDS) & {*ocsf.MONITOR_KINDS, *ocsf.OWN_KINDS}
    assert not set(ocsf.MONITOR_KINDS) & set(ocsf.OWN_KINDS)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_event_says_who_what_when_and_where(kind: type[facts.Fact]) -> None:
    event = read(sample(kind))
    assert event["category_uid"] == event["class_uid"] // 1000
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert 1 <= event["severity_id"] <= 5
    assert event["status_id"] in (1, 2)
    assert event["time"] == 1764201600250
    assert event["metadata"]["uid"] == "abc-1"
    assert event["metadata"]["event_code"] == kind.__name__
    assert event["metadata"]["correlation_uid"] == "inv_1"
    assert event["actor"]["user"]["name"] == "user:ada"
    assert event["src_endpoint"]["ip"] == "192.0.2.7"
    assert event["resources"][0]["name"] == "shop/cart"
    own = {n for n in kind.__struct_fields__ if n not in facts.Fact.__struct_fields__}
    assert set(event["unmapped"]) == own - {"count"} - ({"node"} if kind is Denial else set())


@pytest.mark.parametrize("kind", DenialKind)
def test_every_kind_of_denial_has_a_class(kind: DenialKind) -> None:
    assert read(sample(Denial, kind=kind))["class_uid"] > 1000


def test_what_destroys_is_a_deletion() -> None:
    assert read(sample(facts.OperationPerformed, effect="destroy"))["activity_id"] == 4


def test_of_what_was_cut_short_nobody_knows_how_it_ended() -> None:
    assert read(sample(facts.OperationPerformed))["status_id"] == 1
    assert read(sample(facts.OperationPerformed, unfinished=True))["status_id"] == 0


def test_those_alike_are_counted() -> None:
    assert read(sample(facts.GrantUsed), 2)["count"] == 6
    assert read(sample(facts.InvocationEnded), 5)["count"] == 5
    assert "count" not in read(sample(facts.InvocationEnded))


def test_a_long_text_is_cut() -> None:
    event = read(sample(Denial, reason="x" * 100_000, resource="y" * 100_000))
    assert len(event["message"]) == ocsf.MAX_TEXT
    assert event["message"].endswith("(cut)")
    assert len(ocsf.event(sample(Denial, reason="\0" * 10_000), 1, "a")) < 65_000


def test_what_was_not_sent_by_a_gateway_is_refused() -> None:
    data = msgspec.msgpack.encode(sample(facts.SignedIn))
    assert ocsf.decode("SignedIn", data) == sample(facts.SignedIn)
    for kind, text in (("Nothing", data), ("Denial", data), ("SignedIn", b"\xc1"), ("", b"")):
        with pytest.raises(RecorderInputError):
            ocsf.decode(kind, text)
    assert MAX_FACT_BYTES < 65_536


@pytest.mark.parametrize("kind", ["SignedIn", "OperationPerformed", "Denial"])
def test_what_is_nested_deep_is_no_fact(kind: str) -> None:
    """As much of it as may be told; a member that nobody knows is passed over level by level."""
    with pytest.raises(RecorderInputError):
        ocsf.decode(kind, b"\x81\xa1x" + b"\x91" * (MAX_FACT_BYTES - 3))


@pytest.mark.parametrize(("level", "severity"), [("critical", 5), ("low", 2), ("none such", 1)])
def test_a_finding_is_as_grave_as_its_rule(level: str, severity: int) -> None:
    event = read(sample(response.Finding, level=level))
    assert event["severity_id"] == severity
    assert event["finding_info"] == {"uid": "9f2c51aa03b1e7d4", "title": "Tokens are tried"}
    assert event["count"] == 30


def test_what_reads_a_kind_is_made_when_the_first_comes() -> None:
    """Gateway and monitor load this module too, and read none."""
    code = "from casemate.recorder import ocsf; print(ocsf._decoder.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
