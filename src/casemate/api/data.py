"""Operations on the data of projects: buckets, tables, queues and topics.

They are declared in manifests and made by deploys; here they are looked at, filled and emptied.
What is not performed by one of these parts is the data's own, and goes there as it is.
"""

from __future__ import annotations

from typing import Any

from casemate.api import buckets, dropping, queues, tables
from casemate.api.performing import Call, Perform
from casemate.api.served import Served
from casemate.operations import items, messages, objects
from casemate.operations.catalogue import operations_of
from casemate.operations.declaration import Operation
from casemate.operations.form import form_of
from casemate.operations.performing import asked


async def _by_data(operation: Operation[Any], call: Call) -> Any:
    return await asked(call.service.data, operation)


_SPECIAL: dict[type[Operation[Any]], Perform] = {
    **buckets.performs.by_type,
    **tables.performs.by_type,
    **queues.performs.by_type,
    **dropping.performs.by_type,
}

OPERATIONS = tuple(
    Served(form_of(kind), _SPECIAL.get(kind, _by_data))
    for module in (objects, items, messages)
    for kind in operations_of(module)
    if kind.declared.http
)
