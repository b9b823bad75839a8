"""Requests of somebody who has no token yet: their refusals are told in the node's own words."""

from __future__ import annotations

from typing import TypeVar

from casemate.cli.client import NodeClient, read_problem
from casemate.cli.errors import CommandError, DeniedError
from casemate.operations.declaration import Operation

T = TypeVar("T")


def post(client: NodeClient, operation: Operation[T]) -> T:
    """Have the node do an operation, and return the answer; DeniedError if it refuses it."""
    response = client.request(operation)
    if response.status_code not in (401, 403, 404, 429):
        return client.answer(operation, response)
    problem = read_problem(response)
    error = DeniedError if response.status_code in (401, 403) else CommandError
    raise error(
        problem.detail or f"{client.url} answered {response.status_code}.",
        next_step=problem.next_step or "Check the address and try again.",
    )


def require_answer(text: str, what: str) -> str:
    """Return what was typed without white space around it; DeniedError if it is nothing."""
    stripped = text.strip()
    if not stripped:
        raise DeniedError(f"There is no {what}.", next_step="Type it when asked, or pipe it in.")
    return stripped
