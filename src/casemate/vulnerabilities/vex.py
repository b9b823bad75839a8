"""VEX: what others say of holes in packages, read strictly; and what a node says, written.

OpenVEX 0.2.0 and CycloneDX 1.4 to 1.6 with vulnerabilities, both in JSON.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from casemate.advisories import Package
from casemate.advisories.packages import Ecosystem, package_of_purl
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.errors import InvalidInputError
from casemate.model.vulnerability import AdvisoryException, LiveHole, Verdict

MAX_BYTES = 4 * 1024 * 1024
MAX_STATEMENTS = 5_000
"""Of one document, each of one hole in one package."""
_MAX_TEXT = 1_000

NOT_AFFECTED = "not_affected"
_TO_CYCLONEDX = {
    "component_not_present": "code_not_present",
    "vulnerable_code_not_present": "code_not_present",
    "vulnerable_code_not_in_execute_path": "code_not_reachable",
    "vulnerable_code_cannot_be_controlled_by_adversary": "requires_environment",
    "inline_mitigations_already_exist": "protected_by_mitigating_control",
}
"""Justifications of OpenVEX, and what comes next to them in CycloneDX."""
_TO_OPENVEX = {
    "code_not_present": "vulnerable_code_not_present",
    "code_not_reachable": "vulnerable_code_not_in_execute_path",
    "requires_configuration": "vulnerable_code_not_in_execute_path",
    "requires_dependency": "component_not_present",
    "requires_environment": "vulnerable_code_cannot_be_controlled_by_adversary",
    "protected_by_compiler": "inline_mitigations_already_exist",
    "protected_at_runtime": "inline_mitigations_already_exist",
    "protected_at_perimeter": "inline_mitigations_already_exist",
    "protected_by_mitigating_control": "inline_mitigations_already_exist",
}
_CONTEXT = "https://openvex.dev/ns/"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://openvex.dev/casemate")


class VexError(InvalidInputError):
    """The document is no VEX, or says something that cannot be taken."""


class Statement(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """That a package is not affected by a hole. `version` is empty for all of its versions."""

    vulnerability: str
    package: str
    version: str
    justification: str
    detail: str


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """What a document says that can be taken, and how much of it says something else."""

    statements: tuple[Statement, ...]
    others: int
    """Affected, fixed, or still looked into: nothing is taken of them."""


class _Named(msgspec.Struct, frozen=True):
    name: str


class _Product(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="@id", default="")
    identifiers: dict[str, str] = {}
    subcomponents: list[_Product] = []

    @property
    def purl(self) -> str:
        return self.identifiers.get("purl", self.id)


class _OpenStatement(msgspec.Struct, frozen=True):
    vulnerability: _Named | str
    status: Literal["not_affected", "affected", "fixed", "under_investigation"]
    products: list[_Product] = []
    justification: str = ""
    impact_statement: str = ""


class _OpenVex(msgspec.Struct, frozen=True):
    context: str = msgspec.field(name="@context")
    author: str
    statements: list[_OpenStatement]


class _Analysis(msgspec.Struct, frozen=True):
    state: Literal[
        "resolved",
        "resolved_with_pedigree",
        "exploitable",
        "in_triage",
        "false_positive",
        "not_affected",
    ]
    justification: str = ""
    detail: str = ""


class _Affects(msgspec.Struct, frozen=True):
    ref: str


class _Vulnerability(msgspec.Struct, frozen=True):
    id: str
    analysis: _Analysis | None = None
    affects: list[_Affects] = []


class _Component(msgspec.Struct, frozen=True):
    ref: str = msgspec.field(name="bom-ref", default="")
    purl: str = ""


class _CycloneDx(msgspec.Struct, frozen=True):
    format: Literal["CycloneDX"] = msgspec.field(name="bomFormat")
    version: Literal["1.4", "1.5", "1.6"] = msgspec.field(name="specVersion")
    vulnerabilities: list[_Vulnerability] = []
    components: list[_Component] = []


def read_vex(data: bytes) -> Read:
    """Return what a document says is not affected. Raises VexError."""
    if len(data) > MAX_BYTES:
        raise VexError(f"The document has more than {MAX_BYTES} bytes.")
    try:
        is_open = "@context" in msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        found = _open(data) if is_open else _cyclonedx(data)
        taken, others = set(), 0
        for each in found:
            if each is None:
                others += 1
            else:
                taken.add(each)
            if len(taken) + others > MAX_STATEMENTS:
                raise VexError(f"The document has more than {MAX_STATEMENTS} statements.")
    except DECODING_ERRORS as error:
        raise VexError(
            f"The document is neither OpenVEX nor CycloneDX: {str(error)[:200]}.",
            next_step="Give one in JSON.",
        ) from error
    return Read(statements=tuple(sorted(taken)), others=others)


def _open(data: bytes) -> Iterator[Statement | None]:
    document = msgspec.json.decode(data, type=decodable(_OpenVex))
    if not document.context.startswith(_CONTEXT):
        raise VexError("The document's @context is not OpenVEX's.")
    for each in document.statements:
        named = each.vulnerability
        vulnerability = named if isinstance(named, str) else named.name
        for product in each.products:
            for part in product.subcomponents or [product]:
                if each.status != NOT_AFFECTED:
                    yield None
                elif each.justification not in _TO_CYCLONEDX:
                    raise _unjustified(vulnerability, each.justification)
                else:
                    detail = each.impact_statement or document.author
                    yield _statement(vulnerability, part.purl, each.justification, detail)


def _cyclonedx(data: bytes) -> Iterator[Statement | None]:
    document = msgspec.json.decode(data, type=decodable(_CycloneDx))
    purls = {each.ref: each.purl for each in document.components if each.ref and each.purl}
    for each in document.vulnerabilities:
        analysis = each.analysis
        for affected in each.affects:
            if analysis is None or analysis.state != NOT_AFFECTED:
                yield None
            elif analysis.justification not in _TO_OPENVEX:
                raise _unjustified(each.id, analysis.justification)
            else:
                ref = affected.ref.rpartition("#")[2]
                purl = purls.get(ref, ref)
                yield _statement(each.id, purl, analysis.justification, analysis.detail)


def _unjustified(vulnerability: str, justification: str) -> VexError:
    return VexError(
        f"{vulnerability[:80]!a} is said not to affect, and the justification is "
        f"{justification[:80]!a}.",
        next_step="Have its author say why, in the words of the format.",
    )


def _statement(vulnerability: str, purl: str, justification: str, detail: str) -> Statement:
    found = package_of_purl(purl)
    version = found.version if isinstance(found, Package) else ""
    if isinstance(found, str):  # one without a version is for all of them
        found = package_of_purl(f"{purl.partition('?')[0]}@0")
    if not isinstance(found, Package) or found.ecosystem is not Ecosystem.PYPI:
        raise VexError(
            f"{purl[:120]!a} is not a package URL of PyPI.",
            next_step="A statement names packages as pkg:pypi/NAME@VERSION.",
        )
    if not vulnerability or len(vulnerability) > 128 or not vulnerability.isprintable():
        raise VexError("A statement names no vulnerability.")
    return Statement(
        vulnerability=vulnerability,
        package=found.name,
        version=version,
        justification=justification,
        detail=detail[:_MAX_TEXT],
    )


# -- what a node says ------------------------------------------------------------------------------


def openvex(
    holes: Sequence[LiveHole], exceptions: Iterable[AdvisoryException], author: str, at: float
) -> bytes:
    """Return the holes of functions as OpenVEX."""
    known = {each.id: each for each in exceptions}
    statements: list[dict[str, Any]] = []
    for each in holes:
        hole, exception = each.hole, known.get(each.hole.exception)
        justified = _justification(hole.verdict, exception)
        statement: dict[str, Any] = {
            "vulnerability": {"name": hole.id, "aliases": list(hole.ids[1:])},
            "products": [
                {
                    "@id": f"pkg:generic/{each.project}/{each.function}",
                    "subcomponents": [{"@id": f"pkg:pypi/{hole.package}@{hole.version}"}],
                }
            ],
            "status": NOT_AFFECTED if justified else "affected",
        }
        if justified:
            statement["justification"] = _TO_OPENVEX.get(justified, justified)
            statement["impact_statement"] = exception.reason if exception else ""
        else:
            statement["action_statement"] = hole.why
        statements.append(statement)
    document = {
        "@context": f"{_CONTEXT}v0.2.0",
        "@id": f"urn:uuid:{uuid.uuid5(_NAMESPACE, json.dumps(statements, sort_keys=True))}",
        "author": author,
        "timestamp": _moment(at),
        "version": 1,
        "statements": statements,
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def cyclonedx(
    holes: Sequence[LiveHole], exceptions: Iterable[AdvisoryException], at: float
) -> bytes:
    """Return the holes of functions as CycloneDX 1.6 with vulnerabilities."""
    known = {each.id: each for each in exceptions}
    vulnerabilities: list[dict[str, Any]] = []
    purls = sorted({f"pkg:pypi/{one.hole.package}@{one.hole.version}" for one in holes})
    for each in holes:
        hole, exception = each.hole, known.get(each.hole.exception)
        justified = _justification(hole.verdict, exception)
        analysis: dict[str, Any] = {"state": NOT_AFFECTED if justified else "exploitable"}
        if justified:
            analysis["justification"] = _TO_CYCLONEDX.get(justified, justified)
        analysis["detail"] = exception.reason if justified and exception else hole.why
        vulnerabilities.append(
            {
                "id": hole.id,
                "analysis": analysis,
                "affects": [{"ref": f"pkg:pypi/{hole.package}@{hole.version}"}],
            }
        )
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"timestamp": _moment(at)},
        "components": [
            {
                "type": "library",
                "bom-ref": purl,
                "name": purl[len("pkg:pypi/") :].partition("@")[0],
                "version": purl.partition("@")[2],
                "purl": purl,
            }
            for purl in purls
        ],
        "vulnerabilities": vulnerabilities,
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def _justification(verdict: Verdict, exception: AdvisoryException | None) -> str:
    """Return why somebody has said that a function is not affected; empty if nobody has."""
    if verdict is not Verdict.EXCEPTED or exception is None:
        return ""
    return exception.justification


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
