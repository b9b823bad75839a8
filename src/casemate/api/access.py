"""Access reviews: who and what has which rights, and whether they keep them.

Taking rights is done by the operations that take them anyway, by the rights of who asks.
"""

from __future__ import annotations

import asyncio
import shlex
import time
from typing import Any

from casemate.access_reviews import Holder, holders, page_of
from casemate.accounts import binding_text, parse_binding
from casemate.api import oidc, tokens, workloads
from casemate.api.account_answers import answering
from casemate.api.performing import Call, Perform, Performers, tell
from casemate.api.served import all_served
from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.facts import AccessReviewed
from casemate.model.oidc import OidcSettings
from casemate.model.principal import NODE, Principal
from casemate.model.usage import DAY, UsageSpan
from casemate.operations import access
from casemate.operations.access import (
    AccessKind,
    AccessPage,
    AccessReview,
    AccessRules,
    KeepAccess,
    RemoveAccess,
    RemovedAccess,
    ReviewAccess,
    SetAccessRules,
)
from casemate.operations.declaration import Operation
from casemate.operations.form import form_of
from casemate.operations.oidc import RemoveOidc
from casemate.operations.tokens import RevokeToken
from casemate.operations.usage import ReadUsage
from casemate.operations.users import SetUserRoles
from casemate.operations.workloads import RemoveWorkload

_USE_DAYS = 400
"""For so long days of use are looked through."""

performs = Performers()


async def _holders(call: Call) -> list[Holder]:
    functions = await call.service.control.functions()
    return await asyncio.to_thread(holders, call.service.accounts, functions, time.time())


async def _found(id: str, call: Call) -> Holder:
    for each in await _holders(call):
        if each.id == id:
            return each
    raise NotFoundError(
        f"Nobody called {id} has any rights.", next_step="`casemate access review` lists who has."
    )


@performs(ReviewAccess)
async def _review(wanted: ReviewAccess, call: Call) -> AccessPage:
    await call.service.reviews.load()

    async def last_used(holder: Holder) -> tuple[float | None, bool]:
        return await _last_used(holder, call)

    return await page_of(
        wanted,
        await _holders(call),
        call.service.reviews,
        last_used=last_used,
        now=time.time(),
    )


async def _last_used(holder: Holder, call: Call) -> tuple[float | None, bool]:
    """Return when one was last used by what is recorded anyway, and whether that tells."""
    accounts = call.service.accounts
    if holder.kind is AccessKind.TOKEN:
        return accounts.tokens.used_at(accounts.tokens.one(holder.id.partition(":")[2])), True
    if holder.kind is AccessKind.USER:
        people = accounts.people
        return people.seen_at(people.one(holder.name)), True
    if holder.kind is AccessKind.WORKLOAD:
        return accounts.workloads.seen_at(holder.id.partition(":")[2]), True
    if holder.kind is AccessKind.SOURCE:
        where = holder.id.partition(":")[2]
        found = (one for one in call.service.sources() if _trigger(one) == where)
        at = next((one.last_event_at for one in found), None)
        return at, at is not None  # it is known since the node's start alone
    if holder.kind is AccessKind.FUNCTION and holder.version is not None:
        version = holder.version
        rows = await call.service.control.recorded(
            ReadUsage(
                project=version.project,
                function=version.function,
                each=UsageSpan.DAY,
                since=max(0.0, (time.time() // DAY - _USE_DAYS) * DAY),
            )
        )
        return max((row.start for row in rows if row.requests), default=None), True
    return None, False


def _trigger(one: Any) -> str:
    return f"{one.project}/{one.function}/{one.trigger}"


def _is_own(holder: Holder, by: Principal, call: Call) -> bool:
    """Tell whether one looks at its own rights, or at those of what it made."""
    answerable = call.service.accounts.answerable
    asking = {by.text, answerable(by.text)}
    return bool(asking & {holder.id, holder.made_by, answerable(holder.id)})


def _tell(call: Call, decision: str, id: str, reason: str, *, own: bool, done: str = "") -> None:
    call.service.facts.happened(
        AccessReviewed(
            at=time.time(),
            by=call.actor.principal,
            remote_address=call.actor.remote_address,
            subject=id,
            decision=decision,
            reason=reason,
            own=own,
            done=done,
        )
    )


@performs(KeepAccess)
async def _keep(wanted: KeepAccess, call: Call) -> AccessReview:
    reviews = call.service.reviews
    await reviews.load()
    async with reviews.changing:
        holder = await _found(wanted.id, call)
        if wanted.digest not in (None, holder.fingerprint):
            raise ConflictError(
                f"The rights of {wanted.id} have changed since they were reviewed.",
                next_step="`casemate access review` shows what they are now.",
            )
        own = _is_own(holder, call.principal, call)
        made = await reviews.keep(holder, by=call.principal.text, reason=wanted.reason, own=own)
        _tell(call, "keep", wanted.id, wanted.reason, own=own)
    return made


@performs(RemoveAccess)
async def _remove(wanted: RemoveAccess, call: Call) -> RemovedAccess:
    # One after the other: of two who take the same, one is told that there is nothing left.
    async with call.service.reviews.changing:
        holder = await _found(wanted.id, call)
        own = _is_own(holder, call.principal, call)
        taken = await _take(holder, wanted, call)
        _tell(call, "remove", wanted.id, wanted.reason, own=own, done=taken.done)
    return taken


async def _take(holder: Holder, wanted: RemoveAccess, call: Call) -> RemovedAccess:
    if wanted.role is not None and holder.kind is not AccessKind.USER:
        raise ConflictError(
            f"{holder.id} is not a person from whom one role could be taken.",
            next_step="Leave out the role, or make a token that can do less in its place.",
        )
    if holder.kind is AccessKind.TOKEN:
        done = await _do(RevokeToken(id=holder.id.partition(":")[2]), tokens.performs, call)
        line = f", with {len(done.line)} made with it" if done.line else ""
        return RemovedAccess(id=holder.id, done=f"the token is revoked{line}", undo="")
    if holder.kind is AccessKind.USER:
        return await _take_roles(holder, wanted.role, call)
    if holder.kind is AccessKind.PROVIDER:
        trusted = call.service.accounts.provider.settings
        await _do(RemoveOidc(), oidc.performs, call)
        return RemovedAccess(
            id=holder.id,
            done="the provider is trusted no more",
            undo="" if trusted is None else _set_again(trusted),
        )
    if holder.kind is AccessKind.WORKLOAD:
        name = holder.id.partition(":")[2]
        gone = await _do(RemoveWorkload(name=name), workloads.performs, call)
        done = f"the pipeline is trusted no more, and {gone.ended} of its sessions ended"
        return RemovedAccess(id=holder.id, done=done, undo="")
    name = "" if holder.version is None else f"{holder.version.project}/{holder.version.function}"
    raise ConflictError(
        f"The rights of {holder.id} are those of its manifest.",
        next_step="Deploy the function without the grant or trigger, remove it with "
        f"`casemate rm {name}`, or stop it with `casemate quarantine {name} --reason TEXT`.",
    )


def _set_again(settings: OidcSettings) -> str:
    words = ["casemate", "oidc", "set", settings.issuer, "--client-id", settings.client_id]
    words += [word for each in settings.audiences for word in ("--audience", each)]
    return shlex.join(words)


async def _take_roles(holder: Holder, role: str | None, call: Call) -> RemovedAccess:
    """Take one role or all, of those that there are as it is done: none is given back."""
    wanted = None if role is None else parse_binding(role)
    before: list[str] = []

    @answering
    async def take(operation: SetUserRoles, call: Call) -> None:
        people = call.service.accounts.people
        held = await people.take_roles(
            operation.name, wanted, by=call.principal, made_with=call.token_id
        )
        before.extend(map(binding_text, held))

    await _decided(SetUserRoles(name=holder.name, roles=()), take, call)
    given = " ".join(f"--role {one}" for one in before)
    taken = f"the role {role} of {holder.name} is taken"
    return RemovedAccess(
        id=holder.id,
        done=taken if role is not None else f"all roles of {holder.name} are taken",
        undo=f"casemate users roles {holder.name} {given}",
    )


async def _do(operation: Operation[Any], performers: Performers, call: Call) -> Any:
    """Do another operation as if it had been asked for by itself: decided, and told."""
    return await _decided(operation, performers.by_type[type(operation)], call)


async def _decided(operation: Operation[Any], perform: Perform, call: Call) -> Any:
    form = form_of(type(operation))
    if form.declared.action is not None:
        call.require(form.declared.action, NODE)
    answer = await perform(operation, call)
    tell(form, call, answer)
    return answer


@performs(SetAccessRules)
async def _set_rules(wanted: SetAccessRules, call: Call) -> AccessRules:
    await call.service.reviews.load()
    await call.service.reviews.set_days(wanted.days)
    return AccessRules(days=wanted.days)


OPERATIONS = all_served(access, performs)
