"""The actions of playbooks that hold something back, and how each is taken back."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec

from casemate.decoding import decodable
from casemate.model.deployment import DeployedFunction
from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.facts import Actor
from casemate.model.playbook import (
    BlockAddress,
    CutEgress,
    FreezeAlias,
    PlaybookAction,
    WithholdSecrets,
)
from casemate.model.restriction import EVERYTHING, RestrictionKind
from casemate.playbooks.matching import PRINCIPAL
from casemate.playbooks.prepared import Prepared
from casemate.playbooks.targets import named, place_of
from casemate.restrictions import Restrictions


class Functions(Protocol):
    """Tells which functions there are."""

    async def function(self, project: str, name: str) -> DeployedFunction: ...


class _Wanted(NamedTuple):
    kind: RestrictionKind
    project: str
    function: str
    what: str


class _Before(msgspec.Struct, frozen=True):
    id: str
    by: str
    """Who held it back before; empty: nobody did."""


class HoldingBack:
    """Does and undoes."""

    def __init__(self, functions: Functions, restrictions: Restrictions) -> None:
        """Hold back by `restrictions`."""
        self._functions = functions
        self._restrictions = restrictions

    async def prepare(self, action: PlaybookAction, target: str) -> Prepared:
        """Return how it will be taken back. Raises CasemateError where it cannot be done."""
        wanted = _wanted(action, target)
        if wanted.function:
            await self._functions.function(wanted.project, wanted.function)
        found = self._restrictions.find(*wanted)
        id = self._restrictions.id_of(*wanted)
        before = _Before(id, "" if found is None else found.by)
        return Prepared(_text(before), f"casemate restrict lift {id} --reason TEXT")

    async def do(
        self, action: PlaybookAction, target: str, before: str, reason: str, by: Actor
    ) -> str:
        """Do it; return what there was before. Done once more it comes to the same."""
        wanted = _wanted(action, target)
        found = await self._restrictions.restrict(*wanted, reason=reason, by=by)
        return before if found.by == by.principal else _text(_Before(found.id, found.by))

    async def undo(self, before: str, reason: str, by: Actor) -> None:
        """Lift it, unless somebody else has said so before or since. Raises ConflictError."""
        known = msgspec.json.decode(before, type=decodable(_Before))
        step = f"Run: casemate restrict lift {known.id} --reason TEXT"
        if known.by:
            raise ConflictError(f"{known.by} held it back before.", next_step=step)
        try:
            found = self._restrictions.one(known.id)
        except NotFoundError:
            return  # somebody has by hand
        if not found.by.startswith(PRINCIPAL):
            raise ConflictError(f"{found.by} holds it back since.", next_step=step)
        await self._restrictions.lift(known.id, reason, by)


def _wanted(action: PlaybookAction, target: str) -> _Wanted:
    """Return what an action holds back. Raises ConflictError for one that holds nothing back."""
    project, function = place_of(target)
    match action:
        case FreezeAlias():
            return _Wanted(RestrictionKind.ALIAS, project, function, "")
        case CutEgress():
            return _Wanted(RestrictionKind.HOST, project, function, action.host)
        case WithholdSecrets():
            return _Wanted(RestrictionKind.SECRET, project, function, EVERYTHING)
        case BlockAddress():
            address, _, of = named(target).rpartition("@")
            return _Wanted(RestrictionKind.ADDRESS, of, "", address)
        case _:
            raise ConflictError(f"{type(action).__name__} holds nothing back.")


def _text(before: _Before) -> str:
    return msgspec.json.encode(before).decode()
