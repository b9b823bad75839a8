"""Operations on deployed functions: list, show, deploy, alias, roll back, remove."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any

import msgspec

from casemate.model.deployment import (
    LIVE,
    Alias,
    AliasTarget,
    DeployedFunction,
    TrialTerms,
    Version,
)
from casemate.model.function import FunctionSpec
from casemate.model.grant import Grant, Resources
from casemate.model.invocation import InvocationRecord
from casemate.model.principal import Action
from casemate.model.restoring import Restoring
from casemate.model.signing import KEY_PATTERN
from casemate.model.trigger import ScheduleStatus
from casemate.operations.declaration import (
    Decided,
    Declaration,
    Effect,
    Operation,
    on_function,
)
from casemate.operations.fields import Digest, Name, VersionNumber, number, whole
from casemate.operations.given import Given

MAX_TARGETS = 16
MAX_ALIASES = 64
"""Of one function: each is in memory, on all nodes."""
MAX_TOGETHER = 100
"""Functions that are deployed at once."""
MAX_PLANNED_BYTES = 4 * 1024 * 1024
"""Of a question about all of them, with their contracts."""

_PATH = "/functions/{project}/{function}"

_Chosen = Annotated[int, number("A version's number.", least=1)]
_Approve = Annotated[
    bool,
    msgspec.Meta(
        description="True lets a function have more than it was granted before; needs "
        "`grant:approve`."
    ),
]
_TARGETS = msgspec.Meta(
    min_length=1,
    max_length=MAX_TARGETS,
    description="Different versions whose weights add up to 100.",
)


_ALIAS = Alias(
    project="shop",
    function="checkout",
    name=LIVE,
    targets=(AliasTarget(version=7, weight=95), AliasTarget(version=8, weight=5)),
    changed_at=1764201600.0,
)


class Functions(msgspec.Struct, frozen=True, kw_only=True):
    """Every function of the node that the caller may read."""

    functions: tuple[DeployedFunction, ...]


class BundleOf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bundle that is to be live as a function."""

    project: Name
    function: Name
    digest: Digest


class FunctionOf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A function that is to be deployed."""

    project: Name
    function: Name


class PlannedFunction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A function that is to be built and deployed, by its manifest."""

    project: Name
    spec: FunctionSpec
    """Without `python` it is built for one that the node offers."""
    resources: Resources = Resources()
    """What the project declares and the function is granted, or names."""
    packages: bool = False
    """Whether it needs packages of others."""

    @property
    def function(self) -> str:
        """Its name."""
        return self.spec.name


class Obstacle(msgspec.Struct, frozen=True, kw_only=True):
    """Something for which a deploy would be refused, as far as is known before a build."""

    function: str = ""
    """PROJECT/FUNCTION; empty where it is about all of them."""
    message: str
    next_step: str = ""


class Forgets(msgspec.Struct, frozen=True, kw_only=True):
    """What a deploy would have the project's data forget, which needs an approval as grants do."""

    function: str
    """PROJECT/FUNCTION."""
    grants: tuple[Grant, ...]
    """Each with what is forgotten as its action, such as `forget items by their expires`."""


class Foreseen(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known to be in the way of a deploy."""

    obstacles: tuple[Obstacle, ...]
    forgets: tuple[Forgets, ...] = ()


class RefusedFor(StrEnum):
    """What a client has refused a deploy for."""

    GRANTS = "grants"
    """It would have widened grants, and nobody has approved that."""
    ADVISORIES = "advisories"
    """Packages have known holes, or cannot be looked up."""
    LICENCE = "licence"
    """Packages are under licences that the node does not allow."""


_Together = Annotated[tuple[FunctionOf, ...], msgspec.Meta(min_length=1, max_length=MAX_TOGETHER)]


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """The versions that are live now, in the order in which they were asked for."""

    versions: tuple[Version, ...]


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """The bundle that a dry run has started without an error."""

    digest: str


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A share of an alias in per cent."""

    version: _Chosen
    weight: Annotated[int, msgspec.Meta(ge=1, le=100)]


class Schedules(msgspec.Struct, frozen=True, kw_only=True):
    """The schedules of a function, by name, and how the newest invocation of theirs ended."""

    schedules: tuple[ScheduleStatus, ...] = ()
    last: InvocationRecord | None = None
    """None without one, and for those who may not read invocations."""


class DeployFunctions(Operation[Deployed], frozen=True, kw_only=True):
    """Deploy several bundles at once: afterwards all of them are live, or none.

    Needs `function:deploy` on each. Every function is checked as if the others were live, and
    started once, before any of them becomes live. If one is refused, `function` of the problem
    names the first such.
    """

    declared = Declaration(
        http="POST /deployments",
        tag="functions",
        decided=Decided.FOR_EACH,
        status=HTTPStatus.CREATED,
        problems=(404, 409, 413, 415, 422, 503),
    )
    functions: Annotated[tuple[BundleOf, ...], msgspec.Meta(min_length=1, max_length=MAX_TOGETHER)]
    approve: _Approve = False
    trial: (
        Annotated[
            TrialTerms,
            msgspec.Meta(
                description="Each gets a share of the calls for a time, beside the version that is "
                "live and gets all of them after it, unless the trial was ended otherwise."
            ),
        ]
        | None
    ) = None


class CheckDeploy(Operation[None], frozen=True, kw_only=True):
    """Tell whether you may deploy these functions. Nothing is deployed.

    Ask before you build. The decision is made, and a denial recorded, as by the deploy, which
    decides again. For functions that are `planned`, all known obstacles are listed: limits,
    routes, queues, advisories, signatures, room for uploads; and what data would forget. Grants are
    not checked here, and neither is what only the bundle tells.
    """

    declared = Declaration(
        http="POST /deployments/check",
        tag="functions",
        effect=Effect.READ,
        decided=Decided.FOR_EACH,
        status=HTTPStatus.NO_CONTENT,
        other_statuses=((HTTPStatus.OK, "What is in the way of those planned.", Foreseen),),
        problems=(413, 415, 422, 429),
        max_body=MAX_PLANNED_BYTES,
    )
    functions: _Together
    approve: _Approve = False
    planned: Annotated[
        tuple[PlannedFunction, ...],
        msgspec.Meta(
            max_length=MAX_TOGETHER,
            description="Those of `functions` that are looked at more closely.",
        ),
    ] = ()
    key: (
        Annotated[
            str,
            msgspec.Meta(
                pattern=whole(KEY_PATTERN),
                description="Id of the key that will sign the bundles; null: one not made yet.",
            ),
        ]
        | None
    ) = None
    sigstore: Annotated[
        bool, msgspec.Meta(description="Whether each comes with what was signed with Sigstore.")
    ] = False


class NoteRefusedDeploy(Operation[None], frozen=True, kw_only=True):
    """Record that a client has refused to deploy these functions, because of what the node told it.

    Needs `function:deploy` on each. A client that compares grants or has packages judged sends
    nothing of what it refuses; this puts the attempt into the node's journal. If there are many
    within a minute, the first are recorded one by one, and the rest as a count.
    """

    declared = Declaration(
        http="POST /deployments/refused",
        tag="functions",
        decided=Decided.FOR_EACH,
        status=HTTPStatus.NO_CONTENT,
        problems=(413, 415, 422),
    )
    functions: _Together
    kind: RefusedFor


class ListFunctions(Operation[Functions], frozen=True, kw_only=True):
    """List every deployed function with its versions and aliases."""

    declared = Declaration(http="GET /functions", tag="functions", decided=Decided.FOR_EACH)


class ShowFunction(Operation[DeployedFunction], frozen=True, kw_only=True):
    """Show one function.

    Its budgets and quotas are included for those who may list those of its project.
    """

    declared = Declaration(
        http=f"GET {_PATH}",
        tag="functions",
        action=Action.FUNCTION_READ,
        on=on_function,
        problems=(404,),
    )
    project: Name
    function: Name


class RemoveFunction(Operation[None], frozen=True, kw_only=True):
    """Remove a function with all its versions and aliases."""

    declared = Declaration(
        http=f"DELETE {_PATH}",
        tag="functions",
        action=Action.FUNCTION_REMOVE,
        on=on_function,
        status=HTTPStatus.NO_CONTENT,
        problems=(404,),
    )
    project: Name
    function: Name


class DeployVersion(Operation[Version], frozen=True, kw_only=True):
    """Deploy a bundle as the next version and point `live` at it.

    The bundle must be uploaded first. The node starts the function once. If its handler cannot be
    imported, the answer is 422, whose `failure` has the type, message and trace, and nothing is
    deployed.
    """

    declared = Declaration(
        http=f"POST {_PATH}/versions",
        tag="functions",
        action=Action.FUNCTION_DEPLOY,
        on=on_function,
        status=HTTPStatus.CREATED,
        other_statuses=((HTTPStatus.OK, "The dry run started the function.", Started),),
        problems=(404, 409, 413, 415, 422),
    )
    project: Name
    function: Name
    digest: Digest
    dry_run: Annotated[
        bool, msgspec.Meta(description="Start the bundle once, and change nothing.")
    ] = False
    approve: _Approve = False


class RemoveVersion(Operation[None], frozen=True, kw_only=True):
    """Remove a version that no alias points to.

    `live` can then no longer be rolled back to it. Stored events for the version become dead
    letters that say so.
    """

    declared = Declaration(
        http=f"DELETE {_PATH}/versions/{{number}}",
        tag="functions",
        action=Action.FUNCTION_REMOVE,
        on=on_function,
        status=HTTPStatus.NO_CONTENT,
        problems=(404, 409),
    )
    project: Name
    function: Name
    number: VersionNumber


class SetAlias(Operation[Alias], frozen=True, kw_only=True):
    """Point an alias at versions by weight."""

    declared = Declaration(
        http=f"PUT {_PATH}/aliases/{{name}}",
        tag="functions",
        action=Action.FUNCTION_ALIAS,
        on=on_function,
        problems=(404, 409, 413, 415, 422),
        example={
            "name": "live",
            "targets": [{"version": 7, "weight": 95}, {"version": 8, "weight": 5}],
        },
        answer=_ALIAS,
    )
    project: Name
    function: Name
    name: Annotated[Name, Given("The alias to point there.", "--alias", default=LIVE)]
    targets: Annotated[
        tuple[Target, ...],
        _TARGETS,
        Given("Versions and the share of callers each gets.", metavar="VERSION[=PERCENT]"),
    ]


class ListSchedules(Operation[Schedules], frozen=True, kw_only=True):
    """List the schedules of a function: when each runs next, and how its last run ended."""

    declared = Declaration(
        http=f"GET {_PATH}/schedules",
        tag="functions",
        action=Action.FUNCTION_READ,
        on=on_function,
        problems=(404,),
    )
    project: Name
    function: Name


class ShowRestoring(Operation[Restoring], frozen=True, kw_only=True):
    """Show how often the process of a call was restored for the next call, and why not.

    The counts start when the gateway starts. They apply to `isolation = "request"`: see isolation
    in the docs.
    """

    declared = Declaration(
        http=f"GET {_PATH}/restoring",
        tag="functions",
        action=Action.FUNCTION_READ,
        on=on_function,
        problems=(404,),
    )
    project: Name
    function: Name


class ShowSbom(Operation[dict[str, Any]], frozen=True, kw_only=True):
    """Return what a function's live version is made of, as CycloneDX 1.6.

    If `live` points to several versions, it is the one that most callers get, unless you name
    another.
    """

    declared = Declaration(
        http=f"GET {_PATH}/sbom",
        tag="functions",
        action=Action.FUNCTION_READ,
        on=on_function,
        problems=(404, 429),
    )
    project: Name
    function: Name
    version: Annotated[int, number("A version's number.", least=1)] | None = None


class Rollback(Operation[Alias], frozen=True, kw_only=True):
    """Point `live` back at what it was, or at a version.

    Without a body, `live` goes back to the last version that all callers got. It never goes back to
    a split between versions, or to a version that was itself rolled back. While several versions
    share the calls, the newest of them is left, or the one on trial, and `live` goes to the one of
    the others that all callers got last.
    """

    declared = Declaration(
        http=f"POST {_PATH}/rollback",
        tag="functions",
        action=Action.FUNCTION_ALIAS,
        on=on_function,
        body_optional=True,
        problems=(404, 409, 413, 415, 422),
        example={"to": 7},
        answer=msgspec.structs.replace(_ALIAS, targets=(AliasTarget(version=7, weight=100),)),
    )
    project: Name
    function: Name
    to: Annotated[_Chosen, Given("Go back to this version instead.", metavar="VERSION")] | None = (
        None
    )
