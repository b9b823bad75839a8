"""Which modules were imported since the base zygote was made.

Some 370 are there from the first, none of them a function's. To look through all of them after
each handler's import took a millisecond that a first call waits for: their memory is in no cache.
So they are looked through once, and afterwards only those that are not the very same any more.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

_known: dict[str, object] = {}


def begin() -> None:
    """Take what is imported now as looked through, here and in all that is forked from here."""
    _known.clear()
    _known.update(sys.modules)


def since() -> list[tuple[str, object]]:
    """Return name and module of all that is imported and was not when it began, in that order.

    A list of all would be 600 pairs, which the interpreter keeps for the next ones that are made:
    ten pages of each zygote.
    """
    try:
        return _differing(sys.modules.items())
    except RuntimeError:  # another thread imports meanwhile
        return _differing(list(sys.modules.items()))


def _differing(modules: Iterable[tuple[str, object]]) -> list[tuple[str, object]]:
    known = _known.get
    return [
        (name, module)
        for name, module in modules
        # What else a function has for a name may do anything when it is looked for.
        if type(name) is not str or module is not known(name)
    ]
