"""A control store in memory that keeps nodes by the SQL of the adapters."""

from __future__ import annotations

from typing import Any

from casemate.operations.declaration import Operation
from casemate.store.sqlite import budgets, nodes, schema
from support.memory_database import in_memory

_PERFORMED = {**nodes.performs.by_type, **budgets.performs.by_type}


class NodeStore:
    """The part of a store that keeps nodes, and what is counted over all of them."""

    def __init__(self) -> None:
        self.connection = in_memory((*schema._NODES, *schema._COUNTS))

    async def read(self, operation: Operation[Any]) -> Any:
        return _PERFORMED[type(operation)](self.connection, operation)

    async def change(self, operation: Operation[Any]) -> Any:
        self.connection.execute("BEGIN")
        try:
            done = await self.read(operation)
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
        return done
