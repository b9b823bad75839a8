"""VEX in: strict and bounded. VEX out: what is written is read back."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from casemate.model.vulnerability import AdvisoryException, Hole, LiveHole, Verdict
from casemate.vulnerabilities.vex import (
    MAX_BYTES,
    MAX_STATEMENTS,
    VexError,
    cyclonedx,
    openvex,
    read_vex,
)

OUT_OF_PATH = "vulnerable_code_not_in_execute_path"


def open_document(*statements: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps(
        {
            "@context": "https://openvex.dev/ns/v0.2.0",
            "@id": "https://example.com/vex/1",
            "author": "vendor@example.com",
            "timestamp": "2026-11-27T00:00:00Z",
            "version": 1,
            "statements": statements,
            **changes,
        }
    ).encode()


def said(status: str = "not_affected", **changes: Any) -> dict[str, Any]:
    return {
        "vulnerability": {"name": "CVE-2026-1"},
        "products": [{"@id": "pkg:pypi/Left@1.0"}],
        "status": status,
        "justification": OUT_OF_PATH if status == "not_affected" else "",
        **changes,
    }


def cyclone(state: str = "not_affected", ref: str = "pkg:pypi/left@1.0", **changes: Any) -> bytes:
    analysis = {"state": state, "justification": "code_not_reachable", "detail": "never called"}
    return json.dumps(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "components": [{"bom-ref": "one", "purl": "pkg:pypi/left@1.0"}],
            "vulnerabilities": [
                {"id": "CVE-2026-1", "analysis": {**analysis, **changes}, "affects": [{"ref": ref}]}
            ],
        }
    ).encode()


def test_openvex_is_read() -> None:
    read = read_vex(
        open_document(
            said(),
            said(vulnerability="CVE-2026-2", products=[{"@id": "pkg:pypi/right"}]),
            said(
                products=[
                    {"@id": "pkg:oci/app", "subcomponents": [{"@id": "pkg:pypi/deep@2"}]},
                    {"@id": "x", "identifiers": {"purl": "pkg:pypi/named@3"}},
                ]
            ),
            said("affected"),
            said("under_investigation"),
            said("fixed"),
        )
    )
    assert read.others == 3
    assert [(s.vulnerability, s.package, s.version) for s in read.statements] == [
        ("CVE-2026-1", "deep", "2"),
        ("CVE-2026-1", "left", "1.0"),
        ("CVE-2026-1", "named", "3"),
        ("CVE-2026-2", "right", ""),
    ]
    assert all(s.justification == OUT_OF_PATH for s in read.statements)


@pytest.mark.parametrize("ref", ["pkg:pypi/left@1.0", "one", "urn:cdx:3e67/1#one"])
def test_cyclonedx_is_read(ref: str) -> None:
    (statement,) = read_vex(cyclone(ref=ref)).statements
    assert (statement.package, statement.version) == ("left", "1.0")
    assert statement.justification == "code_not_reachable" and statement.detail == "never called"
    for state in ("exploitable", "in_triage", "resolved", "false_positive"):
        read = read_vex(cyclone(state))
        assert (read.statements, read.others) == ((), 1)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"<html>",
        b"[" * 100_000,
        b'{"@context": ' + b"[" * 100_000,
        open_document(said("maybe")),
        open_document(said(justification="")),
        open_document(said(justification="because")),
        open_document(said(products=[{"@id": "pkg:npm/left@1.0"}])),
        open_document(said(products=[{"@id": "left"}])),
        open_document(said(vulnerability={"name": ""})),
        open_document(said(vulnerability={"name": "CVE\n-1"})),
        open_document(said(vulnerability={"name": "x" * 200})),
        open_document(said(), **{"@context": "https://example.com"}),
        open_document(said(), author=3),
        cyclone("unknown"),
        cyclone(justification="because"),
        cyclone(ref="two"),
        cyclone().replace(b'"1.6"', b'"9.9"'),
        b" " * (MAX_BYTES + 1),
        open_document(*(said("affected") for _ in range(MAX_STATEMENTS + 1))),
    ],
)
def test_what_cannot_be_understood_is_refused_as_a_whole(data: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(VexError):
        read_vex(data)
    assert time.process_time() - begun < 2


def hole(verdict: Verdict, exception: str = "") -> LiveHole:
    found = Hole(
        ecosystem="PyPI",
        package="left",
        version="1.0",
        id="GHSA-1",
        ids=("GHSA-1", "CVE-2026-1"),
        severity="high",
        score=7.5,
        malicious=False,
        known_exploited=False,
        likelihood=None,
        fixed=(),
        summary="",
        verdict=verdict,
        why="it is high",
        exception=exception,
    )
    return LiveHole(project="t", function="f", since=1.0, hole=found)


@pytest.mark.parametrize("justification", ["code_not_reachable", OUT_OF_PATH])
def test_what_is_written_is_read(justification: str) -> None:
    exception = AdvisoryException(
        id="exc_1",
        project="t",
        function="f",
        advisory="GHSA-1",
        package="left",
        reason="never called",
        justification=justification,
        by="user:ada",
        at=1.0,
        expires_at=2.0,
    )
    holes = [hole(Verdict.EXCEPTED, "exc_1"), hole(Verdict.REFUSED), hole(Verdict.TOLD)]
    for written in (openvex(holes, [exception], "me", 1.0), cyclonedx(holes, [exception], 1.0)):
        read = read_vex(written)
        assert read.others == 2
        (statement,) = read.statements
        assert (statement.vulnerability, statement.package) == ("GHSA-1", "left")
        assert statement.detail == "never called"
    unjustified = [hole(Verdict.EXCEPTED, "exc_2")]
    assert read_vex(openvex(unjustified, [exception], "me", 1.0)).statements == ()
