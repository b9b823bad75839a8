"""A function that leaves something, deployed on a node, and what its calls find."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from casemate.restorer.probe import restoring_problem
from support import residue
from support.node import TestNode

LIMITS = 'timeout = "{timeout}"\nmemory = "128MB"\nprocesses = 16\nopen_files = 64\ntmp = "4MB"'
OF_LAYOUT = {"interpreter", "signals", "registers"}
"""In what forks of another zygote differ, which a busy function has: arguments and addresses."""
MOST_LAYOUTS = 6


class Function:
    """A function that leaves something, in one of two ways."""

    def __init__(self, node: TestNode, name: str, *, again: bool, timeout: str = "20s") -> None:
        self.node = node
        self.name = f"t/{name}"
        self.again = again and not restoring_problem()
        """Whether its processes are used again."""
        self.limits = LIMITS.format(timeout=timeout)
        self.pristine: dict[str, Any] = {}
        self._layouts: list[dict[str, Any]] = []
        """What is found without residue in forks of each zygote that was met."""

    def deploy(self, settings: str, at_import: str = "") -> Function:
        """Deploy it, and look at what it finds before anything is planted."""
        name = self.name.removeprefix("t/")
        self.node.deploy(
            residue.source(at_import),
            name=name, settings=settings, limits=self.limits, unguarded=True,
        )  # fmt: skip
        return self

    def begin(self) -> None:
        """Have it settle, and take what is found now for what is found without residue."""
        if self.again:
            self.used_again()
        self.pristine = self.call(deep=True)["found"]
        self._layouts = [self.pristine]

    def used_again(self) -> None:
        """Call it until a process serves that has served before."""
        seen: set[int] = set()

        def known() -> bool:
            who = self.call()["who"]
            return who in seen or seen.add(who) is not None

        self.node.wait_until(known, 60)

    def call(self, **event: Any) -> dict[str, Any]:
        answer = self.node.invoke(event, function=self.name)
        if answer.status_code != 200:
            told = self.node.error(answer)
            raise AssertionError(f"{told['type']}: {told['message']}\n{told['trace'][-500:]}")
        found: dict[str, Any] = answer.json()
        return found

    def look(self, *, deep: bool = False) -> int:
        """Require that nothing is found; return who has looked."""
        seen = self.call(look=True, deep=deep)
        changed = self.changed(seen)
        if self.is_another_layout(changed) and len(self._layouts) < MOST_LAYOUTS:
            self._layouts.append(self.pristine | seen["found"])
        else:
            assert changed == {}, changed
        return int(seen["who"])

    def changed(self, seen: dict[str, Any]) -> dict[str, Any]:
        """Return what is not as it is without residue, in the layout that it is most like."""
        found = seen["found"].items()
        differ = [
            {what: (clean[what], value) for what, value in found if value != clean[what]}
            for clean in self._layouts
        ]
        return min(differ, key=len)

    @staticmethod
    def is_another_layout(changed: dict[str, Any]) -> bool:
        """Tell whether all differs that another zygote has, and no more: no residue shows so."""
        return changed.keys() == OF_LAYOUT


class Layouts:
    """Looks at what forks of several zygotes find, each beside those of its own."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._known = [function.pristine]

    def look(self) -> int:
        """Require that nothing is found; return who has looked."""
        seen = self._function.call(look=True)
        differ = []
        for pristine in self._known:
            found = seen["found"].items()
            differ.append({what: value for what, value in found if value != pristine[what]})
        if {} not in differ:
            assert "interpreter" in min(differ, key=len) and any(
                one.keys() <= OF_LAYOUT for one in differ
            ), differ
            assert len(self._known) < MOST_LAYOUTS
            self._known.append(self._known[0] | seen["found"])
        return int(seen["who"])


def in_both_ways(rows: Iterable[str]) -> pytest.MarkDecorator:
    """Try every row with restored processes, and every third with forks; all in the long run.

    A fork has nothing of another one's memory, whatever the row.
    """
    tried = [
        pytest.param(way, row, marks=(pytest.mark.storm,) if left else ())
        for number, row in enumerate(rows)
        for way, left in (("restored", False), ("forked", number % 3), ("low", True))
    ]
    return pytest.mark.parametrize(("function", "row"), tried, indirect=["function"])
