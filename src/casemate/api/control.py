"""The port behind the control API: what a node must be able to do for its owners."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from casemate.model.deployment import Alias, DeployedFunction, Quarantine, TrialTerms, Version
from casemate.model.errors import CasemateError, InvalidInputError
from casemate.model.facts import Actor
from casemate.model.invocation import RunningInvocation
from casemate.model.node import NodeStatus
from casemate.model.restoring import Restoring
from casemate.model.route import RouteClaim
from casemate.operations.declaration import Operation
from casemate.operations.functions import Forgets, PlannedFunction, SetAlias
from casemate.operations.quarantine import QuarantineFunction, ReleaseFunction
from casemate.operations.trials import EndTrial, StartTrial

AnswerT = TypeVar("AnswerT")


class Deployment(NamedTuple):
    """A bundle that is to be live as a function."""

    project: str
    function: str
    digest: str


class StartFailedError(InvalidInputError):
    """The function could not be started once, so nothing was deployed.

    `type`, `message` and `trace` tell the owner all there is to know: the class of the exception
    (or the way the process died), its text, and its traceback.
    """

    def __init__(
        self, detail: str, *, type: str, message: str, trace: str, next_step: str | None = None
    ) -> None:
        """Keep the detail and the owner's view of what the function did when it was started."""
        shown = "trace shows" if trace else "error says"
        super().__init__(detail, next_step=next_step or f"Fix what the {shown}, then deploy again.")
        self.type = type
        self.failure_message = message
        self.trace = trace


Deploys = Callable[[str, str], bool]
"""Tells whether who asks may deploy the function of a project and a name."""


class Control(Protocol):
    """A node's control service.

    Every method may raise NotFoundError, ConflictError, InvalidInputError or UnavailableError (of
    `casemate.model.errors`); the API turns each into its status. `by` is who asks, for
    facts that tell of a change with the address. A change that has returned is durable.

    One change waits for the one before it, and a deploy for the function to start: it is decided
    once more just before it is made, so that nobody whose rights were taken meanwhile makes it.
    """

    async def functions(self) -> tuple[DeployedFunction, ...]:
        """Return every deployed function, sorted by project and name."""
        ...

    async def function(self, project: str, name: str) -> DeployedFunction:
        """Return one deployed function (NotFoundError if there is none)."""
        ...

    async def remove(self, project: str, function: str, *, by: Actor) -> None:
        """Remove a function with its versions and aliases (NotFoundError if there is none)."""
        ...

    async def quarantine(self, operation: QuarantineFunction, *, by: Actor) -> Quarantine:
        """Have a function take no calls; return what holds, which may have held before."""
        ...

    async def release(self, operation: ReleaseFunction, *, by: Actor) -> Quarantine:
        """Let a function take calls again; return what held, ConflictError if nothing did."""
        ...

    async def route_claims(self) -> tuple[RouteClaim, ...]:
        """Return which paths and hosts were given to which projects, sorted by project."""
        ...

    async def claim_routes(self, claim: RouteClaim, *, by: Actor) -> None:
        """Give a project these, in place of what it had; ConflictError if another has or uses them.

        An empty claim takes back what the project had.
        """
        ...

    async def remove_version(
        self,
        project: str,
        function: str,
        number: int,
        *,
        by: Actor,
    ) -> None:
        """Remove a version that no alias leads to (NotFoundError, ConflictError)."""
        ...

    async def has_bundle(self, digest: str, *, by: str, deploys: Deploys) -> bool:
        """Tell whether the node holds a bundle that the asking may know of.

        That is one that it has uploaded, or one of a function that it may deploy.
        """
        ...

    async def require_room(self, digest: str, size: int, *, by: str, deploys: Deploys) -> None:
        """Raise QuotaError where `put_bundle` would, of an archive of `size` bytes."""
        ...

    async def find_pieces(
        self,
        project: str,
        function: str,
        wanted: Collection[str],
        *,
        by: str,
        deploys: Deploys,
    ) -> Collection[str]:
        """Return the pieces of dependencies that bundles of a project have (`manifest.pieces`).

        Of those that are `wanted`, and that the asking has uploaded or may deploy.
        """
        ...

    async def put_bundle(
        self, digest: str, archive: Path, *, by: str, deploys: Deploys, partial: bool = False
    ) -> bool:
        """Verify and keep a bundle; False if `has_bundle` tells so already: nothing is changed.

        With `partial` it may leave out what `find_pieces` returns; ConflictError where that has
        nothing of it.

        What is not deployed within an hour is deleted. Raises QuotaError if `by`, who
        answers for it, or all together have too much waiting for a deploy.

        `archive` is a tar.gz file that the API deletes afterwards. The control service unpacks it
        with `casemate.build.archive.unpack`, which checks every path and hash, and raises
        InvalidInputError if it is not a bundle or not the one `digest` names.
        """
        ...

    async def reseal_bundles(self) -> None:
        """Seal every bundle with the newest key."""
        ...

    async def start_once(self, project: str, function: str, digest: str, *, by: Actor) -> None:
        """Start the bundle's function and end it again.

        Raises NotFoundError without such a bundle, InvalidInputError if the bundle is another
        function's, StartFailedError if the handler cannot be imported in time.
        """
        ...

    async def deploy(
        self,
        project: str,
        function: str,
        digest: str,
        *,
        approve: bool,
        by: Actor,
    ) -> Version:
        """Start the bundle once (see `start_once`), add a version, point `live` at it.

        Without `approve`, WideningError if it is granted more than the live version.
        """
        ...

    async def deploy_all(
        self,
        wanted: Sequence[Deployment],
        *,
        approve: bool,
        trial: TrialTerms | None = None,
        by: Actor,
    ) -> tuple[Version, ...]:
        """Do the same with several, of which all are live afterwards or none.

        With `trial` each gets a share of the calls for a time, beside the version that is live.
        The error names the first that is in the way (`about`).
        """
        ...

    async def foresee(
        self, planned: Sequence[PlannedFunction], *, key: str | None, sigstore: bool, by: Actor
    ) -> list[CasemateError]:
        """Return all that is known to be in the way of a deploy before anything is built.

        `key` is the id of the one that will sign, None for one that is not made yet.
        """
        ...

    async def forgets(self, planned: Sequence[PlannedFunction]) -> list[Forgets]:
        """Return what a deploy would have the projects' data forget. Raises UnavailableError."""
        ...

    async def set_alias(
        self,
        operation: SetAlias,
        *,
        approve: bool = False,
        by: Actor,
    ) -> Alias:
        """Point an alias at versions; their weights add up to 100 (checked by the API).

        Without `approve`, WideningError if `live` would be granted more, unless it was lately.
        """
        ...

    async def start_trial(
        self,
        operation: StartTrial,
        *,
        approve: bool = False,
        by: Actor,
    ) -> Alias:
        """Give a version a share of the calls for a time (ConflictError: nothing to go back to).

        `approve`: as in `set_alias`.
        """
        ...

    async def end_trial(self, operation: EndTrial, *, by: Actor) -> Alias:
        """Send all calls to the version of a trial, or back (ConflictError if it is over)."""
        ...

    async def rollback(
        self,
        project: str,
        function: str,
        to: int | None,
        *,
        approve: bool = False,
        by: Actor,
    ) -> Alias:
        """Point `live` at version `to`, or at the one that all callers were sent to before.

        `approve`: as in `set_alias`.
        """
        ...

    async def sbom(self, project: str, function: str, version: int | None) -> bytes:
        """Return the SBOM of a version, of the live one with None (NotFoundError)."""
        ...

    async def recorded(self, operation: Operation[AnswerT]) -> AnswerT:
        """Answer a question about records, denials or uses of grants, up to this moment.

        `casemate.operations.records` has them, and ListUses.
        """
        ...

    def running(self, project: str | None, function: str | None) -> tuple[RunningInvocation, ...]:
        """Return the invocations that run now, the longest first."""
        ...

    def restoring(self, project: str, function: str) -> Restoring:
        """Return how often the process of a call was used again."""
        ...

    async def node_status(self) -> NodeStatus:
        """Return how the node is."""
        ...
