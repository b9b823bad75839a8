"""Where aliases lead is read by as many statements for a thousand of them as for one."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from casemate.model.deployment import AliasTarget
from casemate.store.sqlite import aliases

TABLES = """
CREATE TABLE alias_state (id INTEGER PRIMARY KEY, project, function, name, changed_at, trial);
CREATE TABLE alias_target (state, position, project, function, version, weight);
"""


class Counting:
    """A connection that counts what it is asked."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection, self.count = connection, 0

    def execute(self, *asked: Any) -> sqlite3.Cursor:
        self.count += 1
        return self.connection.execute(*asked)


@pytest.mark.parametrize("number", [0, 1, 1000])
def test_they_are_read_by_two_statements_however_many_there_are(number: int) -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(TABLES)
    for state in range(1, number + 1):
        row = (state, "p", f"f{state}", "live", 1.0, None)
        connection.execute("INSERT INTO alias_state VALUES (?, ?, ?, ?, ?, ?)", row)
        for position, version in enumerate((2, 1)):
            values = (state, position, "p", f"f{state}", version, 50 + position)
            connection.execute("INSERT INTO alias_target VALUES (?, ?, ?, ?, ?, ?)", values)
    counting = Counting(connection)
    found = aliases.present(counting)  # type: ignore[arg-type]
    assert counting.count == 2
    assert len(found) == number
    wanted = (AliasTarget(version=2, weight=50), AliasTarget(version=1, weight=51))
    assert all(alias.targets == wanted for alias in found)
