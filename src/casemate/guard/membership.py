"""Whether a collection in which the code found a text is the event's: then it vouches for nothing.

What counts is where the very objects are from, not what they say: what the code found is equal to
the event's text in any case.
"""

from __future__ import annotations

import collections
import itertools
import os
from collections.abc import Callable, Iterator, KeysView, ValuesView
from types import MappingProxyType
from typing import Any

from .notes import NUMBERED, Paired, Several
from .pieces import as_text, texts_in
from .provenance import Provenance
from .taint import Taint

_MAX_MEMBERS = 10_000
_MAX_LOOKED_AT = 1000
"""Texts that went into others; what is made of more counts as the event's."""
_QUOTES = "'\""
_LOOKED_INTO = (
    *(set, frozenset, list, tuple, dict, KeysView, ValuesView, MappingProxyType),
    *(collections.deque, collections.ChainMap, collections.UserDict, collections.UserList),
)
"""Collections whose members are there to be looked at, with no code of the function's."""


class Membership:
    """Answers about the texts and collections of one invocation."""

    def __init__(
        self, taint: Taint, provenance: Provenance, is_constant: Callable[[str], bool]
    ) -> None:
        """`is_constant` tells whether the function's own code holds a text."""
        self._taint = taint
        self._provenance = provenance
        self._is_constant = is_constant

    def vouches(self, collection: Any, text: str) -> bool:
        """Tell whether a collection in which the code found a text says anything of it."""
        if type(collection) is Several:
            return any(self.vouches(one, text) for one in collection)
        if type(collection) is Paired:
            members = _equal(collection.among, collection.pair)
            equal = [part for pair in members for part in pair if part == text]
            return self._is_own(collection.among, text, equal)
        return self._is_own(collection, text, _equal(collection, text))

    def numbers_vouch(self, collection: Any) -> bool:
        """Tell the same of one in which the code found a number: these have no identity."""
        if isinstance(collection, range):
            return True
        members = [str(member) for member in itertools.islice(collection, _MAX_MEMBERS)]
        known = self._taint.exact
        return any(known(member) is None for member in members)

    def _is_own(self, collection: Any, text: str, equal: list[Any]) -> bool:
        if self._taint.is_of(collection) is not None:
            return False
        sources = self._provenance.made_from(collection) or ()
        if any(self.is_made_of_event(source, text) for source in sources):
            return False
        # Of a comparison's two sides one is always the event's.
        return not equal or not all(self.is_made_of_event(one, text) for one in equal)

    def is_made_of_event(self, value: Any, text: str = "") -> bool:
        """Tell whether a value is the event's, or was seen being made of what is.

        `text` is what was found in it: what a library hands on, such as the body of a request, is
        known by what it says, if it says more than that.
        """
        todo = [value]
        for _ in range(_MAX_LOOKED_AT):
            if not todo:
                return False
            one = todo.pop()
            if not isinstance(one, (str, bytes)):
                if self._taint.is_of(one) is not None:
                    return True
                continue
            known = as_text(one)
            if len(known) == 1 and self._is_constant(known):
                continue  # such a text has no identity
            if self._taint.is_of(one) is not None:
                return True
            made = self._provenance.of(one)
            if made is None:
                if len(known) > len(text) and self._is_as_it_came(known):
                    return True
            elif made.kind == NUMBERED:
                if not self._is_constant(known):
                    return True
            else:
                todo += texts_in(made)
        return True

    def _is_as_it_came(self, text: str) -> bool:
        """Tell whether a text that nobody was seen making is one of the event's, and no setting."""
        if self._is_constant(text) or text in os.environ.values():
            return False
        return any(self._taint.exact(form) is not None for form in (text, text.strip(_QUOTES)))


def _equal(collection: Any, value: Any) -> list[Any]:
    """Return the members of a collection that are equal to a value, and of its very type."""
    if not isinstance(collection, _LOOKED_INTO):
        return []
    members: Iterator[Any] = itertools.islice(collection, _MAX_MEMBERS)
    return [member for member in members if type(member) is type(value) and member == value]
