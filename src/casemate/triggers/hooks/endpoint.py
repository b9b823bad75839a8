"""The endpoint of web hooks: prove, parse, filter, keep, and only then say 202.

Whoever proves nothing is answered as if there were nothing, and is made to wait if it goes on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec

from casemate.data.errors import ForgottenError
from casemate.data.interface import NewMessage, ProjectData
from casemate.model.addresses import address_group
from casemate.model.denial import DenialKind, denied_at
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError, NotFoundError, UnavailableError
from casemate.model.facts import Actor, Fact, FunctionPlace
from casemate.model.http import HttpRequest, HttpResponse
from casemate.model.principal import ANONYMOUS, Action, Decision, Principal, Resource, ResourceKind
from casemate.model.problem import problem_response
from casemate.model.trigger import INBOX, RepositoryTrigger, S3Trigger
from casemate.operations.invocations import FindInvocation
from casemate.operations.leases import KeepMessages
from casemate.policy import Policy
from casemate.triggers.hooks.declared import Hook, Key, split_hook_path
from casemate.triggers.hooks.failures import Failures
from casemate.triggers.hooks.interface import (
    MalformedError,
    Notice,
    Proof,
    Shown,
    UnprovenError,
)
from casemate.vault import Vault

MAX_HOOK_BODY = 4 * 1024 * 1024
"""Bytes of a request to any path below it, so that none is told from another by its limit."""
MAX_PROVING = 4
MAX_WAITING = 64
"""Requests that are proven at once, and that wait for it: the vault has others to serve."""
MAX_DOUBTED = 32
MAX_DOUBTED_OF_SENDER = 8
"""Requests whose sender has failed too often, looked at all the same one after the other."""
_AT_ONCE = 64 * 1024
"""Bytes of a request that are read on the event loop."""

_JSON = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))
_logger = logging.getLogger(__name__)


class Nowhere(Protocol):
    """Answers a request as if there were nothing at its path."""

    def __call__(self, request: HttpRequest, *, recorded: bool) -> HttpResponse:
        """`recorded` tells that the denial is on record already."""
        ...


class _BusyError(UnavailableError):
    """Too many requests wait to be proven."""


class Hooks:
    """All web hooks of a node."""

    def __init__(
        self,
        vault: Vault,
        data: ProjectData,
        policy: Policy,
        happened: Callable[[Fact], None],
        nowhere: Nowhere,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep events in `data`; every refusal is told by `happened`.

        `nowhere` answers as for a path that there is not.
        """
        self._vault = vault
        self._data = data
        self._policy = policy
        self._happened = happened
        self._nowhere = nowhere
        self._clock = clock
        self._hooks: dict[Key, Hook] = {}
        self._failures = Failures(monotonic)
        self._proving = asyncio.Semaphore(MAX_PROVING)
        self._waiting = 0
        self._doubting = asyncio.Semaphore(1)
        self._doubted: Counter[str] = Counter()

    def replace(self, live: Iterable[Version]) -> None:
        """Take over the hooks of what is live: of each function the version that declares."""
        self._hooks = {
            key: Hook(key, trigger, version)
            for version in live
            for trigger in version.spec.triggers
            if isinstance(trigger, (RepositoryTrigger, S3Trigger))
            for key in [(version.project, version.function, trigger.name)]
        }

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer a request below HOOKS_PREFIX."""
        head = request.head
        sender = f"{address_group(head.peer)} {head.path[:256]}"
        key = split_hook_path(head.path) if head.method == "POST" else None
        hook = self._hooks.get(key) if key is not None else None
        wait = self._failures.wait(sender)
        if wait > 0 and (hook is None or not await self._proves(hook, request, sender)):
            return _problem(429, "Too many requests failed.", retry_after=wait)
        if hook is None:
            self._failures.count(sender)
            return self._nowhere(request, recorded=False)
        try:
            if wait <= 0:
                await self._prove(hook, request)
            return await self._accept(hook, request)
        except UnprovenError as error:
            self._failures.count(sender)
            reason = f"{error.message} for {hook.trigger.name}"
            self._record(hook, request, ANONYMOUS, DenialKind.AUTHENTICATION, reason)
            return self._nowhere(request, recorded=True)
        except MalformedError as error:
            self._record(hook, request, hook.principal, DenialKind.REQUEST, error.message)
            return _problem(400, str(error))
        except CasemateError as error:
            _logger.warning("a hook of %s/%s is not served: %s", *hook.key[:2], error.message)
            return _problem(503, "This cannot be taken at the moment.", retry_after=5.0)

    # -- proof ---------------------------------------------------------------------------------

    async def _proves(self, hook: Hook, request: HttpRequest, sender: str) -> bool:
        """Tell whether a request proves its sender where too many have failed to.

        A forge sends for everybody from the same addresses, and so does a proxy that is not known
        as one: a stranger who has it send what is wrong must not keep out what is right. Only where
        nobody comes upon the secret by guesses; those are bounded by how long each takes.
        """
        if self._doubted[sender] >= MAX_DOUBTED_OF_SENDER or self._doubted.total() >= MAX_DOUBTED:
            return False
        self._doubted[sender] += 1
        try:
            async with self._doubting:
                if not await self._vault.resists_guessing(hook.key[0], hook.trigger.secret):
                    return False
                await self._prove(hook, request)
        except CasemateError:
            return False
        finally:
            self._doubted[sender] -= 1
            self._doubted += Counter()  # leaves out who has none
        return True

    async def _prove(self, hook: Hook, request: HttpRequest) -> None:
        """Return if the sender knows the secret. Raises UnprovenError."""
        proof = hook.provider.proof(request.head, request.body, self._clock())
        if self._waiting >= MAX_WAITING:
            raise _BusyError
        self._waiting += 1
        try:
            async with self._proving:
                proven = await self._verify(hook, proof)
        finally:
            self._waiting -= 1
        if not proven:
            raise UnprovenError("a wrong signature or token")

    async def _verify(self, hook: Hook, proof: Proof) -> bool:
        project, secret = hook.key[0], hook.trigger.secret
        try:
            if isinstance(proof, Shown):
                return await self._vault.verify_equal(project, secret, proof.value)
            for signature in proof.signatures:
                if await self._vault.verify_hmac(
                    project, secret, proof.algorithm, proof.message, signature
                ):
                    return True
        except NotFoundError as error:
            raise UnprovenError(f"the secret {secret} is not set") from error
        return False

    # -- what is proven ------------------------------------------------------------------------

    async def _accept(self, hook: Hook, request: HttpRequest) -> HttpResponse:
        spec = hook.version.spec
        if len(request.body) > spec.limits.request:
            detail = f"The function takes {spec.limits.request} bytes (limits.request)."
            return _problem(413, detail)
        decided = self._decide(hook)
        if not decided.allowed:
            self._record(hook, request, hook.principal, DenialKind.AUTHORIZATION, decided.why)
            return _problem(403, "A policy does not allow this.")
        read = hook.provider.notices
        if len(request.body) <= _AT_ONCE:
            notices = read(request.head, request.body)
        else:  # a thousand keys in their encoding take a fifth of a second
            notices = await asyncio.to_thread(read, request.head, request.body)
        if all(notice.ping for notice in notices):
            return _answer(200, {"pong": True})
        wanted = [notice for notice in notices if hook.wants(notice)]
        if not wanted:
            return _answer(200, {"ignored": "not among the events that the trigger wants"})
        try:
            return await self._keep(hook, request, wanted)
        except ForgottenError:
            detail = "The node no longer remembers deliveries from the time of its signature."
            self._record(hook, request, hook.principal, DenialKind.REQUEST, detail)
            return _problem(409, f"{detail} Have it delivered again; this signs it again.")

    async def _keep(
        self, hook: Hook, request: HttpRequest, wanted: Sequence[Notice]
    ) -> HttpResponse:
        """Keep what is wanted, and say 202 after that; what came before is kept no second time."""
        now = self._clock()
        trace = request.head.trace
        kept = "" if trace is None else trace.kept
        messages = [hook.message(notice, now, kept) for notice in wanted]
        alone = messages[0] if len(messages) == 1 else None
        known = alone is not None and await self._is_known(hook, alone)
        if not known:
            await self._data.change(
                KeepMessages(
                    project=hook.key[0],
                    kind=INBOX,
                    name=hook.key[1],
                    messages=tuple(messages),
                )
            )
            # Without a status nothing was kept now: what came before is remembered for longer
            # than how it ended.
            known = alone is not None and not await self._is_known(hook, alone)
        identities = [message.invocation for message in messages]
        if known:
            self._record(hook, request, hook.principal, DenialKind.REQUEST, "a repeated delivery")
            return _answer(200, {"id": identities[0], "duplicate": True})
        body: dict[str, object] = {"id": identities[0]}
        if len(identities) > 1:
            body["ids"] = identities
        return _answer(202, body)

    def _decide(self, hook: Hook) -> Decision:
        """Ask already now what will be asked again when the event is delivered."""
        spec = hook.version.spec
        resource = Resource(
            kind=ResourceKind.FUNCTION,
            project=hook.key[0],
            name=hook.key[1],
            internal=spec.internal,
            public=spec.public,
        )
        return self._policy.decide(hook.principal, Action.FUNCTION_INVOKE, resource, granted=True)

    async def _is_known(self, hook: Hook, message: NewMessage) -> bool:
        """Tell whether there is a status of it. That it is kept once is up to its deduplication."""
        try:
            await self._data.read(
                FindInvocation(project=hook.key[0], invocation=message.invocation)
            )
        except NotFoundError:
            return False
        return True

    def _record(
        self,
        hook: Hook,
        request: HttpRequest,
        principal: Principal,
        kind: DenialKind,
        reason: str,
    ) -> None:
        project, function, _ = hook.key
        self._happened(
            denied_at(
                FunctionPlace(project, function, hook.version.number, invocation=""),
                at=self._clock(),
                kind=kind,
                by=Actor(principal.text, request.head.peer),
                action=Action.FUNCTION_INVOKE.value,
                reason=reason,
            )
        )


def _answer(status: int, body: dict[str, object]) -> HttpResponse:
    return HttpResponse(status, _JSON, msgspec.json.encode(body))


def _problem(status: int, detail: str, *, retry_after: float | None = None) -> HttpResponse:
    seconds = None if retry_after is None else max(1, round(retry_after))
    return problem_response(status, detail, retry_after=seconds)
