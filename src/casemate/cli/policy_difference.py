"""What a change of policies permits beyond what is in force: asked of the node, told to people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from casemate.cli.client import NodeClient
from casemate.cli.terminal import note, print_line
from casemate.model.account import PolicyFile
from casemate.operations.policies import ListPolicies, ShowPolicy

if TYPE_CHECKING:
    from casemate.policy.widening import Widening

_MAX_LINES = 20


def in_force(client: NodeClient) -> list[PolicyFile]:
    """Return the custom policy files of the node."""
    return [client.call(ShowPolicy(name=each.name)) for each in client.call(ListPolicies()).files]


def replaced(files: Iterable[PolicyFile], by: Sequence[PolicyFile]) -> list[PolicyFile]:
    """Return policy files, with others in place of those of the same name."""
    names = {each.name for each in by}
    return [*(each for each in files if each.name not in names), *by]


def compared(before: Iterable[PolicyFile], after: Iterable[PolicyFile]) -> Widening:
    """Return what is permitted after a change of policy files and was not before."""
    from casemate.policy import CedarPolicy, compile_policies
    from casemate.policy.widening import widening

    return widening(compile_policies(before), CedarPolicy().prepare(after))


def fields_of(found: Widening) -> dict[str, Any]:
    """Return what was found, for JSON."""
    fields = msgspec.to_builtins(found)
    for each, told in zip(fields["permitted"], found.permitted, strict=True):
        each["text"] = told.text
    return dict(fields)


def print_widening(found: Widening) -> None:
    """Print a request for each kind that is permitted now alone, and what is not decided."""
    for line in found.lines(_MAX_LINES):
        print_line(line)
    if not found.widens:
        print_line("Nothing becomes permitted that is not.")
    note(f"{found.shapes} kinds of requests were decided.")
