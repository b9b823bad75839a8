"""Bringing built bundles onto a node and making them live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx2
import msgspec

from casemate.admission.grants import GrantDifference, spec_difference
from casemate.cli.attesting import attest
from casemate.cli.builder_key import kept_key_id
from casemate.cli.changes import Change, changes, exceptions, routes_of
from casemate.cli.client import NodeClient
from casemate.cli.deployed import live_version
from casemate.cli.errors import CommandError, DeniedError, MissingError
from casemate.cli.grant_report import ApprovalNeededError
from casemate.cli.names import FunctionName
from casemate.cli.terminal import Progress, progress
from casemate.cli.text import size
from casemate.cli.triggers_shown import listens_to, schedule_shown
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.kernel.drafts import temporary_folder
from casemate.model.bundle import MAX_PIECES
from casemate.model.deployment import LIVE, DeployedFunction, TrialTerms, Version
from casemate.model.trigger import ScheduleStatus, ScheduleTrigger
from casemate.operations.bundles import FindPieces, HasBundle, PutBundle
from casemate.operations.declaration import GZIP
from casemate.operations.functions import (
    BundleOf,
    CheckDeploy,
    DeployFunctions,
    Foreseen,
    FunctionOf,
    ListSchedules,
    PlannedFunction,
)

if TYPE_CHECKING:
    from casemate.build.bundle import BuiltBundle

START_SECONDS = 180.0
"""How long a node may take to start a function once and record it."""
UPLOAD_SECONDS = 600.0
_PIECE = 256 * 1024
_NOT_TAKEN = (httpx2.codes.NOT_FOUND, httpx2.codes.METHOD_NOT_ALLOWED)
"""What a node answers for an operation that only later releases have."""
_NOT_PUT_TOGETHER = (
    httpx2.codes.BAD_REQUEST,
    httpx2.codes.NOT_FOUND,
    httpx2.codes.CONFLICT,
    httpx2.codes.UNPROCESSABLE_CONTENT,
)
"""What a node answers that cannot put a bundle together, or is of an earlier release by now."""
_NOT_READ = (
    httpx2.codes.BAD_REQUEST,
    httpx2.codes.TOO_MANY_REQUESTS,
    httpx2.codes.CONTENT_TOO_LARGE,
    httpx2.codes.UNPROCESSABLE_CONTENT,
)
"""What a node answers that takes fewer fields of a question, smaller ones, or none just now."""


class _Refused(msgspec.Struct):
    """What we read of a problem: which function is in the way, and what it would be granted."""

    function: str = ""
    grants: GrantDifference | None = None


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """What deploying one function came to."""

    function: str
    """PROJECT/FUNCTION."""
    version: int
    previous_version: int | None
    digest: str
    uploaded: bool
    unchanged: bool
    """True if that very bundle was live, so that nothing was done."""
    public: bool
    direct: bool
    """Whether that holds of direct calls as well, and not of its routes alone."""
    internal: bool
    routes: tuple[str, ...]
    triggers: tuple[str, ...]
    """What else calls it, and when a schedule is due next: `nightly: schedule '0 3 * * *' ...`."""
    changes: tuple[Change, ...]
    grants: GrantDifference
    """From the grants of the version that was live to those of this one."""
    address: str


class Wanted(NamedTuple):
    """A bundle that is to be live, and what the node has of its function."""

    name: FunctionName
    built: BuiltBundle
    before: DeployedFunction | None

    @property
    def live(self) -> Version | None:
        """The version that is live now."""
        return live_version(self.before) if self.before is not None else None

    @property
    def is_live(self) -> bool:
        """True if that very bundle is what all callers are sent to."""
        before, live = self.before, self.live
        alone = before is not None and any(
            alias.name == LIVE and len(alias.targets) == 1 for alias in before.aliases
        )
        return live is not None and alone and live.digest == self.built.digest


def foresee(
    client: NodeClient,
    planned: Sequence[PlannedFunction],
    *,
    approve: bool,
    sigstore: bool = False,
) -> Foreseen:
    """Return what the node would refuse to deploy these for, as far as it is known by now.

    To be asked before anything is built, once for all. Raises DeniedError if who asks may not. The
    deploy is decided again, and alone by a node of an earlier release, which cannot be asked.
    """
    names = [FunctionName(one.project, one.function) for one in planned]
    asked = CheckDeploy(
        functions=_functions(names),
        approve=approve,
        planned=tuple(planned),
        key=kept_key_id(),
        sigstore=sigstore,
    )
    response = client.request(asked)
    if response.status_code in _NOT_READ:
        # Of an earlier release, or they are larger than it reads: rights can be asked for alone.
        response = client.request(CheckDeploy(functions=_functions(names), approve=approve))
    if response.status_code == httpx2.codes.OK:
        return client.decode(response, Foreseen)
    if response.is_success or response.status_code in _NOT_TAKEN:
        return Foreseen(obstacles=())
    failure = client.failure(response)
    failure.message += " Nothing was built."
    raise failure


def _functions(names: Sequence[FunctionName]) -> tuple[FunctionOf, ...]:
    return tuple(FunctionOf(project=name.project, function=name.function) for name in names)


def deploy(
    client: NodeClient,
    wanted: Sequence[Wanted],
    *,
    force: bool,
    approve: bool = False,
    trial: TrialTerms | None = None,
    sigstore: Mapping[str, str] | None = None,
) -> list[Deployed]:
    """Deploy bundles: all are live afterwards, or none is. What is live already is left as it is.

    With `trial` they get a share of the calls for a time. `sigstore` has Sigstore bundles by the
    digest that they are about.

    Raises ApprovalNeededError if the node finds that one widens its function's grants and
    `approve` is not said.
    """
    changing = [one for one in wanted if force or not one.is_live]
    uploaded = {one.name: upload(client, one.name, one.built) for one in changing}
    versions: dict[FunctionName, Version] = {}
    for one in changing:
        attest(client, one.built, (sigstore or {}).get(one.built.digest, ""))
    if changing:
        names = ", ".join(str(one.name) for one in changing)
        with progress(f"Starting {names} once on the node"):
            versions = _add_versions(client, changing, approve=approve, trial=trial)
    done = []
    for one in wanted:
        live, version = one.live, versions.get(one.name)
        if version is None and live is not None:
            done.append(_outcome(client, one.name, live, live, uploaded=False, unchanged=True))
        elif version is not None:
            sent = uploaded[one.name]
            done.append(_outcome(client, one.name, version, live, uploaded=sent, unchanged=False))
    return done


def _add_versions(
    client: NodeClient,
    changing: Sequence[Wanted],
    *,
    approve: bool,
    trial: TrialTerms | None,
) -> dict[FunctionName, Version]:
    wanted = DeployFunctions(
        functions=tuple(
            BundleOf(project=one.name.project, function=one.name.function, digest=one.built.digest)
            for one in changing
        ),
        approve=approve,
        trial=trial,
    )
    response = client.request(wanted, seconds=START_SECONDS * len(changing))
    if response.is_success:
        made = client.answer(wanted, response).versions
        return dict(zip((one.name for one in changing), made, strict=True))
    refused = _refused(response)
    failure = client.failure(response)
    if response.status_code == httpx2.codes.CONFLICT and refused.grants is not None:
        named = [one.name for one in changing if str(one.name) == refused.function]
        name = (named or [changing[0].name])[0]
        first = [one.name for one in changing if one.live is None]
        raise ApprovalNeededError([(name, refused.grants)], first) from failure
    if refused.function and refused.function not in failure.message:
        failure.message = f"{refused.function}: {failure.message}"
    raise failure


def _refused(response: httpx2.Response) -> _Refused:
    try:
        return msgspec.json.decode(response.content, type=decodable(_Refused))
    except DECODING_ERRORS:
        return _Refused()


def _outcome(
    client: NodeClient,
    name: FunctionName,
    version: Version,
    previous: Version | None,
    *,
    uploaded: bool,
    unchanged: bool,
) -> Deployed:
    return Deployed(
        function=str(name),
        version=version.number,
        previous_version=previous.number if previous is not None else None,
        digest=version.digest,
        uploaded=uploaded,
        unchanged=unchanged,
        public=version.spec.public,
        direct=version.spec.direct,
        internal=version.spec.internal,
        routes=tuple(routes_of(version.spec)),
        triggers=() if unchanged else _triggers(client, name, version),
        changes=tuple(
            exceptions(version.spec) if previous is None else changes(previous.spec, version.spec)
        ),
        grants=spec_difference(previous.spec if previous is not None else None, version.spec),
        address=f"{client.url}/invoke/{name}",
    )


def _triggers(client: NodeClient, name: FunctionName, version: Version) -> tuple[str, ...]:
    """Return its triggers as people read them, with when a schedule of the live version is due."""
    triggers = version.spec.triggers
    due: dict[str, ScheduleStatus] = {}
    if any(isinstance(each, ScheduleTrigger) for each in triggers):
        # Who deploys may not be allowed to see it, or a trial has the old version's schedules.
        with suppress(DeniedError, MissingError):
            asked = ListSchedules(project=name.project, function=name.function)
            due = {each.name: each for each in client.call(asked).schedules}
    return tuple(
        f"{each.name}: {schedule_shown(due[each.name])}"
        if each.name in due
        else f"{each.name}: {listens_to(each)}"
        for each in triggers
    )


def upload(client: NodeClient, name: FunctionName, built: BuiltBundle) -> bool:
    """Upload a bundle if the node does not hold it; return whether it was uploaded.

    Without those pieces of its dependencies that the node has of the project. They may be gone by
    the time that they are needed: then all is sent.
    """
    held = client.request(HasBundle(digest=built.digest))
    if held.is_success:
        return False
    if held.status_code != httpx2.codes.NOT_FOUND:
        raise client.failure(held)
    if without := _held_pieces(client, name, built):
        response = _send(client, name, built, without)
        if response.is_success:
            return True
        if response.status_code not in _NOT_PUT_TOGETHER:
            raise client.failure(response)
    response = _send(client, name, built)
    if not response.is_success:
        raise client.failure(response)
    return True


def _held_pieces(client: NodeClient, name: FunctionName, built: BuiltBundle) -> frozenset[str]:
    """Return the pieces that the node has; one of an earlier release knows of none."""
    pieces = built.manifest.pieces()
    if not pieces:
        return frozenset()
    asked = FindPieces(
        project=name.project,
        function=name.function,
        digests=tuple(pieces.values())[:MAX_PIECES],
    )
    answer = client.request(asked)
    if not answer.is_success:
        return frozenset()
    held = client.answer(asked, answer).digests
    return frozenset(name for name, digest in pieces.items() if digest in held)


def _send(
    client: NodeClient,
    name: FunctionName,
    built: BuiltBundle,
    without: frozenset[str] = frozenset(),
) -> httpx2.Response:
    from casemate.build import pack

    with temporary_folder("casemate-upload-") as folder:
        file = folder / "bundle.tar.gz"
        with progress(f"Packing {name}"), file.open("xb") as packed:
            pack(built.path, packed, without=without)
        total = file.stat().st_size
        with progress(f"Uploading {name} ({size(total)})") as step:
            return client.request(
                PutBundle(digest=built.digest, partial=bool(without)),
                content=_pieces(file, total, f"Uploading {name}", step),
                headers={"content-type": GZIP, "content-length": str(total)},
                seconds=UPLOAD_SECONDS,
            )


def _pieces(file: Path, total: int, text: str, step: Progress) -> Iterator[bytes]:
    sent = 0
    try:
        with file.open("rb") as source:
            while piece := source.read(_PIECE):
                yield piece
                sent += len(piece)
                step.update(f"{text}: {size(sent)} of {size(total)}")
    except OSError as error:
        raise CommandError(
            f"The packed bundle cannot be read: {error.strerror}.", next_step="Try again."
        ) from error
