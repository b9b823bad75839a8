"""Which operations make the database of a project that has none.

The ports create by it, and where projects live in several databases it is what places a project:
said once, so that none is kept anywhere without being placed first.
"""

from __future__ import annotations

from typing import Any

from casemate.data.registry import specs
from casemate.operations.declaration import Operation
from casemate.operations.inboxes import Subscribe
from casemate.operations.invocations import BeginInvocation
from casemate.operations.positions import AdvancePosition
from casemate.operations.resources import EnsureResources


def creates(operation: Operation[Any]) -> bool:
    """Tell whether an operation makes a project's database where it has none."""
    match operation:
        case EnsureResources():
            return any(specs(operation.resources))
        case Subscribe():
            return bool(operation.subscriptions)
        case _:
            return isinstance(operation, BeginInvocation | AdvancePosition)
