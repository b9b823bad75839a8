"""Bringing built bundles onto a node and making them live."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import msgspec

from casemate.admission.grants import GrantDifference, spec_difference
from casemate.cli.changes import Change, changes, routes_of
from casemate.cli.client import CONNECT_SECONDS, NodeClient, path_of
from casemate.cli.deployed import live_version
from casemate.cli.errors import CommandError
from casemate.cli.grant_report import ApprovalNeededError
from casemate.cli.names import FunctionName
from casemate.cli.terminal import Progress, progress
from casemate.cli.text import size
from casemate.model.deployment import LIVE, DeployedFunction, Version

if TYPE_CHECKING:
    from casemate.build import BuiltBundle

START_SECONDS = 180.0
"""How long a node may take to start a function once and record it."""
UPLOAD_SECONDS = 600.0
_PIECE = 256 * 1024


class _Widening(msgspec.Struct):
    """What we read of a problem that refuses a widening."""

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
    routes: tuple[str, ...]
    changes: tuple[Change, ...]
    grants: GrantDifference
    """From the grants of the version that was live to those of this one."""
    address: str


def deploy(
    client: NodeClient,
    name: FunctionName,
    built: BuiltBundle,
    before: DeployedFunction | None,
    *,
    force: bool,
    approve: bool = False,
) -> Deployed:
    """Deploy one bundle as `name`. `before` is what the node has of that function.

    Raises ApprovalNeededError if the node finds that it widens the function's grants and `approve`
    is not said.
    """
    live = live_version(before) if before is not None else None
    alone = before is not None and any(
        alias.name == LIVE and len(alias.targets) == 1 for alias in before.aliases
    )
    if live is not None and alone and live.digest == built.digest and not force:
        return _outcome(client, name, live, live, uploaded=False, unchanged=True)
    uploaded = upload(client, name, built)
    with progress(f"Starting {name} once on the node"):
        version = _add_version(client, name, built.digest, approve=approve)
    return _outcome(client, name, version, live, uploaded=uploaded, unchanged=False)


def _add_version(client: NodeClient, name: FunctionName, digest: str, *, approve: bool) -> Version:
    body: dict[str, object] = {"digest": digest}
    response = client.exchange(
        "POST",
        path_of("functions", name.project, name.function, "versions"),
        content=msgspec.json.encode({**body, "approve": True} if approve else body),
        headers={"content-type": "application/json"},
        timeout=httpx.Timeout(START_SECONDS, connect=CONNECT_SECONDS),
    )
    if response.is_success:
        return client.decode(response, Version)
    if response.status_code == httpx.codes.CONFLICT:
        refused = _difference_in(response)
        if refused is not None:
            raise ApprovalNeededError([(name, refused)]) from client.failure(response)
    raise client.failure(response)


def _difference_in(response: httpx.Response) -> GrantDifference | None:
    try:
        return msgspec.json.decode(response.content, type=_Widening).grants
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


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
        routes=tuple(routes_of(version.spec)),
        changes=tuple(changes(previous.spec, version.spec)) if previous is not None else (),
        grants=spec_difference(previous.spec if previous is not None else None, version.spec),
        address=f"{client.url}/invoke/{name}",
    )


def upload(client: NodeClient, name: FunctionName, built: BuiltBundle) -> bool:
    """Upload a bundle if the node does not hold it; return whether it was uploaded."""
    from casemate.build import pack

    path = path_of("bundles", built.digest)
    held = client.exchange("HEAD", path)
    if held.is_success:
        return False
    if held.status_code != httpx.codes.NOT_FOUND:
        raise client.failure(held)
    with tempfile.TemporaryDirectory(prefix="casemate-") as folder:
        file = Path(folder) / "bundle.tar.gz"
        with progress(f"Packing {name}"), file.open("xb") as packed:
            pack(built.path, packed)
        total = file.stat().st_size
        with progress(f"Uploading {name} ({size(total)})") as step:
            client.ask(
                "PUT",
                path,
                content=_pieces(file, total, f"Uploading {name}", step),
                headers={"content-type": "application/gzip", "content-length": str(total)},
                timeout=httpx.Timeout(UPLOAD_SECONDS, connect=CONNECT_SECONDS),
            )
    return True


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
