"""Functions of projects that set a secret's new value where it is checked.

One is called along the path like any other, and says `{"set": true}`. It reads the value itself, by
the number of its version: that passes neither the event nor the answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from casemate.admission import Catalogue
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.deployment import Version
from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.grant import GrantKind
from casemate.model.invocation import Outcome
from casemate.model.path import Caller, RawInvocation, Sealed
from casemate.model.principal import Principal, PrincipalKind
from casemate.model.trigger import INBOX, TriggerKind
from casemate.rotations import Asked

ROTATOR_SECONDS = 60.0
"""How long one is waited for, whatever its own limit is."""
MAX_ANSWER_BYTES = 4096
Run = Callable[[RawInvocation], Awaitable[Sealed]]


class _Answer(msgspec.Struct, frozen=True):
    set: bool


class Rotators:
    """Calls them."""

    def __init__(self, catalogue: Catalogue, run: Run) -> None:
        """Have them of `catalogue`, and `run` take them along the path."""
        self._catalogue = catalogue
        self._run = run

    def require(self, project: str, function: str, secret: str) -> None:
        """Raise NotFoundError unless it is live, ConflictError unless it is granted the secret."""
        version = self._catalogue.most_live(project, function)
        if version is None:
            raise NotFoundError(
                f"There is no function {project}/{function} that is live.",
                next_step="Deploy the one that sets the secret outside.",
            )
        if not is_granted(version, secret):
            raise ConflictError(
                f"{project}/{function} is not granted the secret {secret}, and cannot set it.",
                next_step=f"Grant it in casemate.toml below [function.{function}.grants].",
            )

    async def ask(self, project: str, function: str, asked: Asked) -> None:
        """Have it set a value. Raises ConflictError unless it says that it has, in its time."""
        self.require(project, function, asked.secret)
        raw = RawInvocation(
            trigger=TriggerKind.INVOKE.value,
            project=project,
            function=function,
            qualifier=None,
            credential=None,
            content_type="application/json",
            body=msgspec.json.encode(asked),
            received_at=time.time(),
            caller=Caller(
                principal=Principal(kind=PrincipalKind.TRIGGER, id=f"{project}/{function}/{INBOX}")
            ),
        )
        try:
            async with asyncio.timeout(ROTATOR_SECONDS):
                sealed = await self._run(raw)
        except TimeoutError as error:
            raise _unset(project, function, f"no answer in {ROTATOR_SECONDS:.0f} s") from error
        if sealed.outcome is not Outcome.OK:
            why = " ".join(each for each in (sealed.outcome.value, sealed.error_id) if each)
            raise _unset(project, function, why)
        body = sealed.response.body
        if not isinstance(body, bytes) or len(body) > MAX_ANSWER_BYTES or not _says_set(body):
            raise _unset(project, function, 'it did not answer {"set": true}')


def is_granted(version: Version, secret: str) -> bool:
    """Tell whether a version is granted a secret."""
    return any(
        grant.kind is GrantKind.SECRET and grant.name == secret for grant in version.spec.grants
    )


def _says_set(body: bytes) -> bool:
    try:
        return msgspec.json.decode(body, type=decodable(_Answer)).set
    except DECODING_ERRORS:
        return False


def _unset(project: str, function: str, why: str) -> ConflictError:
    return ConflictError(
        f"{project}/{function} has not set the new value: {why}. The one before stays in use.",
        next_step="See its log, and rotate again: it is asked to set the same value.",
    )
