"""Workloads that the node trusts: list, add, remove. They sign in under `login`."""

from __future__ import annotations

import time

from casemate.accounts import binding_text, parse_bindings
from casemate.api.account_answers import answering
from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.model.workload import Workload
from casemate.operations import workloads
from casemate.operations.workloads import (
    AddWorkload,
    ListWorkloads,
    RemovedWorkload,
    RemoveWorkload,
    TrustedWorkloads,
    WorkloadView,
)

performs = Performers()


def _view(workload: Workload) -> WorkloadView:
    return WorkloadView(
        name=workload.name,
        issuer=workload.issuer,
        audience=workload.audience,
        claims=tuple(
            f"{name}={value}" for name, values in workload.claims.items() for value in values
        ),
        roles=tuple(map(binding_text, workload.bindings)),
        minutes=workload.minutes,
        created_at=workload.created_at,
        created_by=workload.created_by,
    )


@performs(ListWorkloads)
async def _list(_operation: ListWorkloads, call: Call) -> TrustedWorkloads:
    return TrustedWorkloads(workloads=tuple(map(_view, call.service.accounts.workloads.all())))


@performs(AddWorkload)
@answering
async def _add(operation: AddWorkload, call: Call) -> WorkloadView:
    claims: dict[str, tuple[str, ...]] = {}
    for claim in operation.claims:
        name, _, value = claim.partition("=")
        claims[name] = (*claims.get(name, ()), value)
    workload = Workload(
        name=operation.name,
        issuer=operation.issuer,
        audience=operation.audience,
        claims=claims,
        bindings=parse_bindings(operation.roles),
        minutes=operation.minutes,
        created_at=time.time(),
        created_by=call.principal.text,
    )
    await call.service.accounts.workloads.add(workload, by=call.principal, made_with=call.token_id)
    return _view(workload)


@performs(RemoveWorkload)
@answering
async def _remove(operation: RemoveWorkload, call: Call) -> RemovedWorkload:
    ended = await call.service.accounts.workloads.remove(
        operation.name, by=call.principal, made_with=call.token_id
    )
    return RemovedWorkload(name=operation.name, ended=ended)


OPERATIONS = all_served(workloads, performs)
