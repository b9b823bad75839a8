"""Rotations as the store keeps them, and how one is done: begun on record, set outside, in use.

Killed between any two steps the secret has one value in use, and what was prepared is prepared
again as the same value: whoever sets it outside may have set it already. What a function sets is
therefore finished at the next start.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import msgspec

from casemate.facts import FactStream
from casemate.model.errors import CasemateError, ConflictError, InvalidInputError, NotFoundError
from casemate.model.facts import Actor, SecretRotated
from casemate.model.rotation import Rotation, SecretRotation
from casemate.model.still import require_still
from casemate.model.vault import (
    LEAST_LENGTH,
    MAX_OVERLAP_SECONDS,
    NewValue,
    SecretVersion,
    ValueForm,
)
from casemate.store.interface import Store
from casemate.store.parts import Parts
from casemate.vault.interface import Vault

MAX_ROTATIONS = 2000
MAX_OF_PROJECT = 200
"""Of these, of one project."""
MAX_UNDER_WAY = 16
"""At once, of the node: each may wait for a function."""
MAX_UNDER_WAY_OF_PROJECT = 4
"""Of these: functions of one project that hang keep nobody else's secrets from being rotated."""

AGAIN_SECONDS = (0.0, 5.0, 30.0)
"""Pauses before what was begun before a start is tried: a function may need a moment."""
_PLAYBOOK = "playbook:"
_MAX_REASON = 400
_log = logging.getLogger(__name__)


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a value that a function sets outside, which has not ended."""

    project: str
    name: str
    change: str
    former: int
    """The version in use."""
    to: int
    """The version whose value is gone back to; 0: it is a new one."""
    overlap: int
    reason: str
    by: str
    node: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a function is asked that sets a value outside. It reads that by its version's number."""

    secret: str
    version: int
    former: int
    """0: there was none."""
    step: str = "set"


Ask = Callable[[str, str, Asked], Awaitable[None]]
"""Has a function of a project set a value. Raises CasemateError unless it says that it has."""
Changed = Callable[[str, str, bool], None]
"""Takes project and secret, and whether what has the former value ends in the middle of calls."""


def _nothing(_project: str, _secret: str, _at_once: bool) -> None:
    """Tell nobody."""


class Rotations:
    """One per gateway, on its event loop."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        facts: FactStream,
        durable: Callable[[], Awaitable[None]],
        ask: Ask,
        *,
        node: str = "",
    ) -> None:
        """Keep how in `store`; have `vault` make values, and `ask` set them outside.

        `node` is the name of this one among those that share `store`.
        """
        self._parts = Parts(store, "rotations", Rotation, _key, parts=16)
        self._begun = Parts(store, "begun rotations", Begun, _key, parts=4)
        self._node = node
        self._task: asyncio.Task[None] | None = None
        self._vault = vault
        self._facts = facts
        self._durable = durable
        self._ask = ask
        self._under_way: set[tuple[str, str]] = set()
        self.changed: Changed = _nothing
        """Called once another value is in use."""

    async def load(self) -> None:
        """Read them; at any time. Raises StoreError."""
        await self._parts.load()
        await self._begun.load()

    def start(self) -> None:
        """Finish what was begun here before, once functions can be called."""
        self._task = asyncio.get_running_loop().create_task(self.finish_begun())

    async def close(self) -> None:
        """Leave what is not finished to the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # -- how ---------------------------------------------------------------------------------------

    def all(self, project: str | None) -> tuple[Rotation, ...]:
        """Return those of a project, or all, by project and name."""
        found = [one for one in self._parts.held.values() if project in (None, one.project)]
        return tuple(sorted(found, key=lambda one: (one.project, one.name)))

    def find(self, project: str, name: str) -> Rotation | None:
        """Return how a secret gets another value, if somebody has said so."""
        return self._parts.held.get(f"{project}/{name}")

    def one(self, project: str, name: str) -> Rotation:
        """Return it. Raises NotFoundError."""
        found = self.find(project, name)
        if found is None:
            raise NotFoundError(
                f"Nobody has said how a new value of {project}/{name} is made.",
                next_step=f"Say it: `casemate secrets rotation {project}/{name}`",
            )
        return found

    async def declare(self, wanted: Rotation, by: Actor) -> Rotation:
        """Say how. Raises InvalidInputError, ConflictError, StoreError."""
        least = LEAST_LENGTH[wanted.value.form]
        if wanted.value.length < least:
            raise InvalidInputError(
                f"A value of {wanted.value.length} in the form {wanted.value.form.value} could be "
                "guessed.",
                next_step=f"Give a length of at least {least}.",
            )
        if not 0 <= wanted.overlap <= MAX_OVERLAP_SECONDS:
            raise InvalidInputError(f"An overlap is 0 to {MAX_OVERLAP_SECONDS} seconds.")
        held = self._parts.held
        of_project = sum(one.project == wanted.project for one in held.values())
        full = len(held) >= MAX_ROTATIONS or of_project >= MAX_OF_PROJECT
        if full and _key(wanted) not in held:
            raise ConflictError(
                f"{len(held)} secrets are rotated, {of_project} of them of {wanted.project}, which "
                "is the most.",
                next_step="Take some back: casemate secrets no-rotation PROJECT/NAME",
            )
        await self._tell(wanted.project, wanted.name, "declare", "begins", by)
        await self._parts.put(wanted)
        return wanted

    async def forget(self, project: str, name: str, by: Actor) -> None:
        """Say nothing of it any more. Raises NotFoundError, StoreError."""
        self.one(project, name)
        await self._tell(project, name, "forget", "begins", by)
        await self._parts.drop((f"{project}/{name}",))

    # -- doing it ----------------------------------------------------------------------------------

    async def versions(self, project: str, name: str) -> tuple[int, int]:
        """Return the version in use, and the one that may be gone back to; 0: there is none."""
        used = back = 0
        now = time.time()
        for each in await self._versions(project, name):
            if each.pending:
                continue
            if each.until is None:
                used = each.version
            elif now < each.until:
                back = each.version
        return used, back

    async def uses_value_of(self, project: str, name: str, version: int) -> bool:
        """Tell whether what is in use is that version, or has gone back to its value."""
        number, _ = await self.versions(project, name)
        before = {one.version: one.value_of for one in await self._versions(project, name)}
        while number > version:
            number = before.get(number, 0)
        return number == version

    async def author(self, project: str, name: str) -> str:
        """Return who has set the version in use; empty if there is none."""
        used, _ = await self.versions(project, name)
        found = await self._versions(project, name)
        return next((one.created_by for one in found if one.version == used), "")

    async def _versions(self, project: str, name: str) -> tuple[SecretVersion, ...]:
        for info in await self._vault.secrets(project):
            if info.name == name:
                return info.versions
        return ()

    async def rotate(
        self,
        project: str,
        name: str,
        *,
        reason: str,
        by: Actor,
        overlap: int | None = None,
        expected: int | None = None,
    ) -> SecretRotation:
        """Have a new value made and in use.

        `overlap` in place of what was declared; `expected` is the version that is to be replaced.
        Raises NotFoundError, ConflictError, CasemateError of who sets it, VaultError.
        """
        how = self.one(project, name)
        with self._alone(project, name):
            used, _ = await self.versions(project, name)
            if expected is not None and used != expected:
                raise ConflictError(
                    f"{project}/{name} has version {used} since, expected {expected}.",
                    next_step="Check who has set it: casemate secrets ls",
                )
            seconds = how.overlap if overlap is None else overlap
            return await self._change(how, how.value, used, seconds, "rotate", reason, by)

    async def back(
        self, project: str, name: str, *, reason: str, by: Actor, expected: int | None = None
    ) -> SecretRotation:
        """Have the value before in use again, and the one in use good for nothing at once.

        Raises as `rotate` does; ConflictError once the overlap is over.
        """
        with self._alone(project, name):
            used, former = await self.versions(project, name)
            if expected is not None and used != expected:
                raise ConflictError(f"{project}/{name} has another value since.")
            if not former:
                await self._require_not_back(project, name)
                raise ConflictError(
                    f"There is no value of {project}/{name} to go back to: the overlap is over, or "
                    "it was not rotated.",
                    next_step=f"Set one: casemate secrets set {project}/{name}",
                )
            how = self.find(project, name) or Rotation(
                project=project,
                name=name,
                value=NewValue(form=ValueForm.BYTES, length=32),
                overlap=0,
                by="",
                since=0.0,
            )
            return await self._change(how, former, used, 0, "back", reason, by)

    async def _require_not_back(self, project: str, name: str) -> None:
        """Raise ConflictError if the last change has gone back: perhaps its answer was lost."""
        used, _ = await self.versions(project, name)
        for one in await self._versions(project, name):
            if one.version == used and one.value_of:
                raise ConflictError(
                    f"{project}/{name} was gone back to the value of version {one.value_of} "
                    f"already, by {one.created_by}: it is version {used}.",
                    next_step=f"For another value: casemate secrets rotate {project}/{name} "
                    "--reason TEXT",
                )

    async def finish_begun(self) -> None:
        """Finish what was begun here and not ended: the value may be set outside already."""
        for pause in AGAIN_SECONDS:
            left = [one for one in self._begun.held.values() if one.node == self._node]
            if not left:
                return
            await asyncio.sleep(pause)
            for one in left:
                try:
                    await self._finish(one, last=pause == AGAIN_SECONDS[-1])
                except CasemateError as error:
                    _log.error("%s is not rotated to the end: %s", _key(one), error.message)

    async def _finish(self, one: Begun, *, last: bool) -> None:
        how, by = self.find(one.project, one.name), Actor(one.by, "")
        with self._alone(one.project, one.name):
            used, _ = await self.versions(one.project, one.name)
            if how is not None and used == one.former:
                made = one.to or how.value
                change, reason = one.change, one.reason
                await self._change(how, made, used, one.overlap, change, reason, by, last=last)
                return
            if await self.author(one.project, one.name) == one.by:
                await self._tell(one.project, one.name, one.change, "done", by, one.reason, used)
            await self._begun.drop((_key(one),))

    async def _change(
        self,
        how: Rotation,
        made: NewValue | int,
        former: int,
        overlap: int,
        change: str,
        reason: str,
        by: Actor,
        *,
        last: bool = True,
    ) -> SecretRotation:
        """Do it; where it is not the `last` try, one that fails is begun still."""
        project, name = how.project, how.name
        require_still()
        await self._tell(project, name, change, "begins", by, reason, former)
        # A playbook goes on with its runs by itself.
        begun = Begun(
            project=project,
            name=name,
            change=change,
            former=former,
            to=made if isinstance(made, int) else 0,
            overlap=overlap,
            reason=reason[:_MAX_REASON],
            by=by.principal,
            node=self._node,
        )
        kept = bool(how.function) and not by.principal.startswith(_PLAYBOOK)
        try:
            if kept:
                await self._begun.put(begun)
            prepared = await self._vault.prepare_secret(project, name, made, former, by.principal)
            if how.function:
                asked = Asked(secret=name, version=prepared.version, former=former)
                await self._ask(project, how.function, asked)
            try:
                await self._vault.finish_secret(project, name, prepared.version, overlap)
            finally:
                # Also if nobody waits for it any more: it may be in use.
                self.changed(project, name, not overlap)
        except CasemateError as error:
            await self._tell(project, name, change, "failed", by, error.message, former)
            if kept and last and not error.retryable:
                await self._begun.drop((_key(begun),))
            raise
        await self._tell(project, name, change, "done", by, reason, prepared.version)
        if kept:
            await self._begun.drop((_key(begun),))
        return SecretRotation(
            project=project,
            name=name,
            version=prepared.version,
            former=former,
            until=time.time() + overlap if overlap and former else None,
            function=how.function,
        )

    @contextmanager
    def _alone(self, project: str, name: str) -> Iterator[None]:
        """Let nobody else rotate the same secret meanwhile. Raises ConflictError."""
        key = (project, name)
        of_project = sum(one == project for one, _ in self._under_way)
        full = len(self._under_way) >= MAX_UNDER_WAY or of_project >= MAX_UNDER_WAY_OF_PROJECT
        if key in self._under_way or full:
            raise ConflictError(
                f"{project}/{name} is being rotated, or too many others are.",
                next_step="Try again in a minute.",
            )
        self._under_way.add(key)
        try:
            yield
        finally:
            self._under_way.discard(key)

    async def _tell(
        self,
        project: str,
        name: str,
        change: str,
        step: str,
        by: Actor,
        reason: str = "",
        version: int = 0,
    ) -> None:
        """Have it on record before it is done."""
        self._facts.happened(
            SecretRotated(
                at=time.time(),
                by=by.principal,
                remote_address=by.remote_address,
                project=project,
                secret=name,
                change=change,
                step=step,
                version=version,
                reason=reason[:_MAX_REASON],
            )
        )
        await self._durable()


def _key(one: Rotation | Begun) -> str:
    return f"{one.project}/{one.name}"
