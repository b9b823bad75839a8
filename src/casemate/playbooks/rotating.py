"""The action of playbooks that has secrets get other values, and how it is taken back."""

from __future__ import annotations

from typing import Protocol

import msgspec

from casemate.decoding import decodable
from casemate.model.deployment import DeployedFunction
from casemate.model.errors import CasemateError, ConflictError, UnavailableError
from casemate.model.facts import Actor
from casemate.model.grant import GrantKind
from casemate.model.playbook import RotateSecret
from casemate.model.restriction import EVERYTHING
from casemate.model.still import require_still
from casemate.playbooks.prepared import Prepared
from casemate.rotations import Rotations

MAX_SECRETS = 16
"""Of one function, by one action."""


class Functions(Protocol):
    """Tells which functions there are."""

    async def function(self, project: str, name: str) -> DeployedFunction: ...


class Rotating:
    """Does and undoes."""

    def __init__(self, functions: Functions, rotations: Rotations) -> None:
        """Rotate by `rotations`."""
        self._functions = functions
        self._rotations = rotations

    async def prepare(self, action: RotateSecret, project: str, function: str) -> Prepared:
        """Return which versions are replaced. Raises ConflictError where none can be."""
        found = await self._functions.function(project, function)
        granted = sorted(
            {
                grant.name
                for version in found.versions
                for grant in version.spec.grants
                if grant.kind is GrantKind.SECRET and action.secret in (EVERYTHING, grant.name)
            }
        )
        known = [name for name in granted if self._rotations.find(project, name) is not None]
        if not known or len(known) > MAX_SECRETS:
            raise ConflictError(
                f"Of {len(granted)} such secrets of {project}/{function} {len(known)} can be "
                f"rotated by the node, expected 1 to {MAX_SECRETS}.",
                next_step="Set them by hand: casemate secrets set",
            )
        before = {name: (await self._rotations.versions(project, name))[0] for name in known}
        undo = "; ".join(
            f"casemate secrets revert {project}/{each} --reason TEXT" for each in known
        )
        return Prepared(msgspec.json.encode(before).decode(), undo)

    async def do(
        self,
        action: RotateSecret,
        project: str,
        before: str,
        reason: str,
        by: Actor,
    ) -> str:
        """Rotate what was not rotated yet: done once more it comes to the same.

        One that fails keeps no other from being rotated. Raises ConflictError with all that
        failed, UnavailableError if it may be tried again.
        """
        done: dict[str, int] = _read(before)
        failed: list[str] = []
        passes = False
        for name, version in done.items():
            used, _ = await self._rotations.versions(project, name)
            if used != version:
                continue  # by this run before it was cut short, or by a person
            try:
                require_still()  # the one before may have waited for a function
                await self._rotations.rotate(
                    project, name, reason=reason, by=by, overlap=action.overlap, expected=version
                )
            except CasemateError as error:
                failed.append(f"{name}: {error.message}")
                passes = passes or error.retryable
        if failed and passes:
            raise UnavailableError(" ".join(failed))
        if failed:
            raise ConflictError(" ".join(failed), next_step="Set them by hand.")
        return before

    async def undo(self, project: str, before: str, reason: str, by: Actor) -> None:
        """Go back where a playbook has rotated. Raises ConflictError with all that could not."""
        failed = []
        for name, version in _read(before).items():
            used, former = await self._rotations.versions(project, name)
            author = await self._rotations.author(project, name)
            if await self._rotations.uses_value_of(project, name, version):
                continue  # by an undoing that was cut short, or by a person
            if not author.startswith("playbook:") or former != version:
                failed.append(f"{name} has a value of {author} since, or its overlap is over.")
                continue
            try:
                require_still()
                await self._rotations.back(project, name, reason=reason, by=by, expected=used)
            except CasemateError as error:
                failed.append(f"{name}: {error.message}")
        if failed:
            raise ConflictError(" ".join(failed), next_step="Look at them: casemate secrets ls")


def _read(before: str) -> dict[str, int]:
    return msgspec.json.decode(before, type=decodable(dict[str, int]))
