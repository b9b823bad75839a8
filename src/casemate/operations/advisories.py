"""Operations on advisories: bring them, judge by them, exceptions, what lives with known holes."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.bundle import LockedPackage
from casemate.model.licence import LicenceRules, PackageLicence, UnknownLicences
from casemate.model.principal import Action
from casemate.model.vulnerability import (
    AdvisoryException,
    AdvisoryRules,
    Hole,
    JudgedFunction,
    LicenceFinding,
    LiveHole,
    LiveLicence,
    LiveProblem,
    QuarantineWhen,
    Threshold,
    Verdict,
)
from casemate.operations.declaration import (
    Declaration,
    Effect,
    Operation,
    on_function,
    on_project_or_node,
)
from casemate.operations.fields import Id, Name, OnlyProject, number, text
from casemate.operations.given import DURATION, Given
from casemate.operations.quarantine import Reason

MAX_PACKAGES = 5_000
"""Of one function."""
MAX_LICENCES = 200
"""That a rule allows."""
MAX_EXCEPTION_SECONDS = 180 * 86400
MAX_ADVISORIES_BYTES = 512 * 1024 * 1024
"""A database of advisories, as it is uploaded."""

_HOLE = Hole(
    ecosystem="PyPI",
    package="requests",
    version="2.30.0",
    id="GHSA-j8r2-6x86-q33q",
    ids=("GHSA-j8r2-6x86-q33q", "CVE-2023-32681"),
    severity="medium",
    score=6.1,
    malicious=False,
    known_exploited=False,
    likelihood=None,
    fixed=("2.31.0",),
    summary="Leak of Proxy-Authorization headers",
    verdict=Verdict.TOLD,
    why="it is medium, and high is refused",
)
_LICENCE = LicenceFinding(
    package="left",
    version="1.0",
    id="licence:GPL-3.0-only",
    verdict=Verdict.REFUSED,
    why="GPL-3.0-only is not among those allowed: Apache-2.0, MIT",
)
_EXCEPTION = AdvisoryException(
    id="exc_9f2c51aa03b1",
    project="shop",
    function="checkout",
    advisory="GHSA-j8r2-6x86-q33q",
    package="requests",
    reason="it asks no proxy",
    by="user:ada",
    at=1764201600.0,
    expires_at=1766793600.0,
)


class AdvisoriesStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Which advisories the node has, and whether it can rely on them."""

    good: bool
    imported: float | None = None
    """When; None without any."""
    source: str = ""
    newest: float | None = None
    """When the newest record was changed."""
    records: dict[str, int] = {}
    exploited: int | None = None
    """Vulnerabilities known to be exploited; None without such a list."""
    likelihoods: int | None = None
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    next_step: str = ""
    rules: AdvisoryRules
    licences: LicenceRules = LicenceRules()


class AdvisoryExceptions(msgspec.Struct, frozen=True, kw_only=True):
    """Exceptions, also those that have expired."""

    exceptions: tuple[AdvisoryException, ...]


class LiveHoles(msgspec.Struct, frozen=True, kw_only=True):
    """Known vulnerabilities and refused licences of what callers reach, when last judged."""

    judged_at: float | None
    holes: tuple[LiveHole, ...]
    licences: tuple[LiveLicence, ...] = ()
    problems: tuple[LiveProblem, ...] = ()
    """Functions that could not be judged, and why."""


class ShowAdvisories(Operation[AdvisoriesStatus], frozen=True, kw_only=True):
    """Show which advisories the node has, whether it can rely on them, and its rules."""

    declared = Declaration(
        http="GET /advisories",
        tag="advisories",
        action=Action.ADVISORIES_READ,
        answer=AdvisoriesStatus(good=True, records={"PyPI": 3120}, rules=AdvisoryRules()),
    )


class PutAdvisories(Operation[AdvisoriesStatus], frozen=True, kw_only=True):
    """Replace the advisories of the node.

    The body is a database that `casemate advisories import` has made, of at most 512 MiB. Every
    part of it is checked. A database that is older than the present one, or has less than half of
    its records, is refused (409). Afterwards all live functions are judged again at once.
    """

    declared = Declaration(
        http="PUT /advisories",
        tag="advisories",
        action=Action.ADVISORIES_WRITE,
        raw_content=True,
        problems=(409, 413, 415, 422, 429),
        answer=AdvisoriesStatus(good=True, records={"PyPI": 3120}, rules=AdvisoryRules()),
    )
    fewer: Annotated[
        bool, msgspec.Meta(description="Accept it although it has far fewer records.")
    ] = False


class SetAdvisoryRules(Operation[AdvisoryRules], frozen=True, kw_only=True):
    """Set the severity from which a deploy is refused, and what puts a function into quarantine.

    A deploy is refused at any severity for malicious packages, for vulnerabilities that are known
    to be exploited, and for those that nobody has rated.
    """

    declared = Declaration(
        http="PUT /advisories/rules",
        tag="advisories",
        action=Action.ADVISORIES_WRITE,
        problems=(413, 415),
        example={"refuse": "medium", "quarantine": "exploited"},
        answer=AdvisoryRules(refuse=Threshold.MEDIUM, quarantine=QuarantineWhen.EXPLOITED),
    )
    refuse: Annotated[
        Threshold,
        msgspec.Meta(description="The lowest severity that refuses a deploy."),
    ]
    quarantine: Annotated[
        QuarantineWhen,
        msgspec.Meta(description="Which vulnerabilities put a live function into quarantine."),
    ]


class SetLicenceRules(Operation[LicenceRules], frozen=True, kw_only=True):
    """Set which licences the packages of functions may have, and what an unknown one means.

    An expression is accepted if the allowed licences satisfy it: one side of `OR`, both sides of
    `AND`, and for an id with `+` or `-or-later` any later version. `A` also allows `A WITH E`. A
    stricter rule does not stop what is already live.
    """

    declared = Declaration(
        http="PUT /advisories/licences",
        tag="advisories",
        action=Action.ADVISORIES_WRITE,
        problems=(413, 415, 422),
        example={"allowed": ["Apache-2.0", "MIT"], "unknown": "refused"},
        answer=LicenceRules(allowed=("Apache-2.0", "MIT")),
    )
    allowed: (
        Annotated[
            tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=200)], ...],
            msgspec.Meta(
                max_length=MAX_LICENCES,
                description="Licences as SPDX names them. Null: no rule; empty: none may be.",
            ),
        ]
        | None
    )
    unknown: Annotated[
        UnknownLicences,
        msgspec.Meta(description="Whether packages are let through whose licence is not known."),
    ] = UnknownLicences.REFUSED


class JudgePackages(Operation[JudgedFunction], frozen=True, kw_only=True):
    """Tell whether a function with these packages could be deployed. Nothing is stored.

    If the node has a rule about licences, send the licences that the packages state. A deploy reads
    them from the bundle itself.
    """

    declared = Declaration(
        http="POST /functions/{project}/{function}/judge",
        tag="advisories",
        effect=Effect.READ,
        action=Action.FUNCTION_DEPLOY,
        on=on_function,
        max_body=2 * 1024 * 1024,
        problems=(413, 415),
        example={
            "packages": [{"name": "requests", "version": "2.30.0"}],
            "licences": [{"package": "left", "version": "1.0", "expression": "GPL-3.0-only"}],
        },
        answer=JudgedFunction(holes=(_HOLE,), licences=(_LICENCE,)),
    )
    project: Name
    function: Name
    packages: Annotated[
        tuple[LockedPackage, ...],
        msgspec.Meta(max_length=MAX_PACKAGES, description="Of PyPI."),
    ]
    licences: (
        Annotated[
            tuple[PackageLicence, ...],
            msgspec.Meta(
                max_length=2 * MAX_PACKAGES,
                description="What they state; null: that is not known of any.",
            ),
        ]
        | None
    ) = None


class ExceptAdvisory(Operation[AdvisoryException], frozen=True, kw_only=True):
    """Record that a function may be deployed despite a vulnerability or a licence, for a time.

    An exception covers one vulnerability or licence, in one package, of one function. Without
    `advisory` and `package` it allows deploys while the node has no advisories that it can rely on.
    """

    declared = Declaration(
        http="POST /functions/{project}/{function}/advisory-exceptions",
        tag="advisories",
        action=Action.ADVISORIES_EXCEPT,
        on=on_function,
        problems=(413, 415, 422, 429),
        example={
            "advisory": _EXCEPTION.advisory,
            "package": "requests",
            "reason": _EXCEPTION.reason,
            "seconds": 2592000,
        },
        answer=_EXCEPTION,
    )
    project: Name
    function: Name
    reason: Reason
    seconds: Annotated[
        int,
        number("How long it holds.", least=60, most=MAX_EXCEPTION_SECONDS),
        Given(flags="--for", metavar=DURATION),
    ]
    advisory: Annotated[
        str, text("Any id of the vulnerability, or of a licence, as a refusal names it.", most=256)
    ] = ""
    package: Annotated[str, text("Name of the package.", most=256)] = ""
    version: Annotated[str, text("Only this version of the package; empty: any.", most=256)] = ""
    justification: Annotated[
        str, text("Why it is not affected, in the words of VEX.", most=100)
    ] = ""


class ListAdvisoryExceptions(Operation[AdvisoryExceptions], frozen=True, kw_only=True):
    """List the recorded exceptions, including expired ones."""

    declared = Declaration(
        http="GET /advisory-exceptions",
        tag="advisories",
        action=Action.ADVISORIES_READ,
        on=on_project_or_node,
        answer=AdvisoryExceptions(exceptions=(_EXCEPTION,)),
    )
    project: OnlyProject | None = None


class EndAdvisoryException(Operation[None], frozen=True, kw_only=True):
    """Withdraw an exception. The next deploy is judged without it."""

    declared = Declaration(
        http="POST /functions/{project}/{function}/advisory-exceptions/{id}/end",
        tag="advisories",
        action=Action.ADVISORIES_EXCEPT,
        on=on_function,
        status=HTTPStatus.NO_CONTENT,
        problems=(404,),
    )
    project: Name
    function: Name
    id: Id


class ListLiveHoles(Operation[LiveHoles], frozen=True, kw_only=True):
    """List the known vulnerabilities in the packages of functions that callers can reach."""

    declared = Declaration(
        http="GET /advisories/live",
        tag="advisories",
        action=Action.ADVISORIES_READ,
        on=on_project_or_node,
        answer=LiveHoles(
            judged_at=1764201600.0,
            holes=(LiveHole(project="shop", function="checkout", since=1764201600.0, hole=_HOLE),),
        ),
    )
    project: OnlyProject | None = None
