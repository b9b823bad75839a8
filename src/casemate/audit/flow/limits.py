"""How much is looked at. What is beyond a limit is told as unresolved, with its place."""

from __future__ import annotations

from typing import NamedTuple

MAX_FILE = 2_000_000
"""Characters of one file."""
MAX_FILES = 20_000
MAX_NESTING = 90
"""Brackets in one another: more than that is not written by people, and parsers end there."""
MAX_DEPTH = 400
"""Of syntax: a chain of `elif` or of `+` is as deep as it is long."""
MAX_FRAMES = 9_000
"""Of Python's own stack, while code is read."""
MAX_NODES = 150_000
"""Nodes of the syntax of one file."""
MAX_CALLS = 24
"""Calls inside one another that are followed."""
MAX_RECURSION = 2
"""Times that one function may be in the stack of calls."""
MAX_ALTERNATIVES = 8
"""Values that one place may have."""
MAX_PARTS = 64
"""Pieces of one text."""
MAX_TEXT = 4_096
"""Characters of a text that is known."""
MAX_TAINTS = 24
"""Sources that one value may come from."""
MAX_ITEMS = 64
"""Items of a container that are known one by one."""
MAX_ROUNDS = 3
"""Rounds of a loop whose end is not known."""
MAX_KNOWN_ROUNDS = 24
"""Rounds of a loop whose end is known."""
MAX_TRAIL = 40
"""Steps of a flow that are told."""
MAX_HEAP = 30_000
"""Objects that the code of one entry makes."""
MAX_FLOWS = 2_000
MAX_UNRESOLVED = 2_000


class Limits(NamedTuple):
    """Bounds that a caller may set."""

    steps: int = 60_000
    """Nodes of syntax evaluated for one entry."""
    seconds: float = 60.0
    """Of processor time for the whole analysis; entries that come later are told as unresolved."""
    file_seconds: float = 6.0
    """Of one file's entries, so that one file does not take the time of all."""
    entry_seconds: float = 2.0
