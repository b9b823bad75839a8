"""What names of a template lead to when it is rendered: plain values, or more than these?"""

from __future__ import annotations

from typing import Any

from ..core import Guard
from ..evaluation.calculating import calculates, field, is_told
from ..evaluation.formats import PLAIN
from ..evaluation.hidden_names import is_of_code
from ..evaluation.left_out import is_left_out
from ..plain_names import is_hidden
from .reading import EACH, LIST, NUMBER, Path

MAX_VALUES = 10_000
"""Values that the names of one template lead to, with all of its lists."""
_MAX_ITEMS = 1000
"""Of one list that is shown as a whole."""
_LISTS = (list, tuple, set, frozenset, str, dict, *map(type, ({}.items(), {}.keys(), {}.values())))
_KINDS: dict[str | int, tuple[type, ...]] = {LIST: _LISTS, NUMBER: (int, float, bool)}
_OF_DICT = ("items()", "keys()", "values()")


class Reach:
    """What one template is given."""

    def __init__(self, guard: Guard) -> None:
        """Begin with nothing looked at."""
        self._guard = guard
        self._left = MAX_VALUES

    def is_plain(self, value: Any, path: Path) -> bool:
        """Tell whether a value, and what a path leads to from there, is plain data."""
        self._left -= 1
        if self._left < 0:
            return False
        if not path:
            return self._is_shown(value)
        step, *rest = path
        if step in _KINDS:
            return type(value) in _KINDS[step]
        if step == EACH:
            return type(value) in _LISTS and all(self.is_plain(one, tuple(rest)) for one in value)
        if isinstance(step, int):
            return self._is_plain_item(value, step, tuple(rest))
        return self._is_plain_field(value, step, tuple(rest))

    def _is_shown(self, value: Any) -> bool:
        if isinstance(value, str) or type(value) in PLAIN:
            return True
        if type(value) in _LISTS and type(value) is not dict and len(value) <= _MAX_ITEMS:
            return all(type(one) in PLAIN for one in value)
        return "__str__" in vars(type(value)) and is_of_code(self._guard, value)

    def _is_plain_item(self, value: Any, place: int, rest: Path) -> bool:
        if type(value) not in (list, tuple, str):
            return False
        return place >= len(value) or self.is_plain(value[place], rest)

    def _is_plain_field(self, value: Any, name: str, rest: Path) -> bool:
        called = name.endswith("()")
        if type(value) is dict:
            if called:
                open_ = name in _OF_DICT and _is_open(value)
                return open_ and self.is_plain(getattr(value, name[:-2])(), rest)
            return not hasattr(dict, name) and (
                name not in value or self.is_plain(value[name], rest)
            )
        if isinstance(value, PLAIN):
            return False  # a method, which the code has not given
        if isinstance(value, tuple) and name in getattr(type(value), "_fields", ()):
            return self.is_plain(getattr(value, name), rest)
        return self._is_plain_attribute(value, name, rest, called=called)

    def _is_plain_attribute(self, value: Any, name: str, rest: Path, *, called: bool) -> bool:
        guard, kind = self._guard, type(value)
        name = name.removesuffix("()")
        getter: Any = kind.__getattribute__
        usual = getter is object.__getattribute__
        if not usual or not is_of_code(guard, value) or is_left_out(guard, kind, name):
            return False
        if not called:
            try:
                return is_told(guard, value, name) and self.is_plain(field(value, name), rest)
            except LookupError:
                if not hasattr(kind, name):
                    return not hasattr(kind, "__getattr__")  # nobody has it: it shows nothing
        # What is calculated of plain data is plain data as well, or a list of it.
        return all(step in (EACH, LIST) for step in rest) and calculates(
            guard, value, name, called=called
        )


def _is_open(value: dict[Any, Any]) -> bool:
    """Tell whether a dictionary may be shown whole: no key of it speaks of what is hidden."""
    return not any(isinstance(key, str) and is_hidden(key) for key in value)
