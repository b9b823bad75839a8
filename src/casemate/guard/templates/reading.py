"""Tags of jinja2 that show, repeat or ask for what a template is given, read to its names.

`{% for line in order.lines %}{{ '%.2f' % line.price }}{% endfor %}` needs `order.lines.*.price`. A
tag that does more than that, as `{% set %}`, `{% include %}` or a call with arguments, is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import NamedTuple

from ..plain_names import is_field

Path = tuple[str | int, ...]
"""A name that the template is given, and what is taken of it: names, with `()` if called, keys,
`EACH` for each one of a list; at the end, `LIST` and `NUMBER` for what has to be one."""
EACH, LIST, NUMBER = "*", "[]", "#"
MAX_TAG = 300
"""Characters of a tag."""
MAX_STEPS = 5
_MAX_LOOPS = 2
"""Within one another, the inner one over what the outer one is at."""
_MAX_RANGE = 100
_MAX_DEPTH = 6
_TOKEN = re.compile(
    r"\s*(?:(?P<word>[A-Za-z_]\w{0,63})(?!\w)|(?P<number>\d{1,6}(?:\.\d{1,6})?)(?![\w.])"
    r"|(?P<text>'[^'\\\n]{0,80}'|\"[^\"\\\n]{0,80}\")"
    r"|(?P<sign>==|!=|<=|>=|[-+*/%<>().,|\[\]]))"
)
_FORM = re.compile(r"[^%]{0,30}%[-+ ]?\d{0,2}(?:\.\d)?[dfsgie](?:%%|[^%]){0,30}")
"""A text in whose place one value is shown, and not made long."""
_ASKING = frozenset(("defined", "undefined", "none", "number", "string", "odd", "even", "sequence"))
_COUNTING = frozenset(("length", "count"))
"""Filters that show nothing of what they are given but how many it is."""
_KEEPING = frozenset(("sort", "reverse", "unique", "list"))
"""Filters after which a list has the same members."""
_VALUES = frozenset(("true", "false", "none", "True", "False", "None"))
_OF_LOOPS = frozenset(("index", "index0", "first", "last", "length", "revindex", "revindex0"))
_OF_JINJA = frozenset(("self", "super", "caller", "loop", "varargs", "kwargs"))
_COMPARING = ("==", "!=", "<", "<=", ">", ">=")
_ENDING = frozenset(("endfor", "endif", "else"))


class Filters(NamedTuple):
    """Filters by what they do."""

    passes: Callable[[str], bool]
    """Whether one of this name only changes what it is given."""
    widening: Collection[str]
    """Those of which there may be one in a tag."""


class _RefusedError(Exception):
    """A tag does more."""


class Reader:
    """Reads the tags of one template in their order."""

    def __init__(self, filters: Filters) -> None:
        """Begin before the first."""
        self._filters = filters
        self._loops: list[dict[str, Path]] = []
        """Names of the loops that have begun, and what each stands for."""

    def read(self, tag: str) -> set[Path] | None:
        """Return what a tag needs; None if it does more than to show, to repeat and to ask."""
        kind, body = tag[:2], tag[2:-2].strip("+-")
        if kind == "{#":
            return set()
        if len(tag) > MAX_TAG:
            return None
        loops = list(self._loops)
        try:
            reading = _Reading(body, self._filters, self._loops)
            if kind == "{{":
                reading.choice()
                reading.need_name()
            else:
                self._statement(reading)
            reading.end()
        except _RefusedError:
            self._loops = loops
            return None
        return reading.needed

    def _statement(self, reading: _Reading) -> None:
        word = reading.word()
        if word in ("if", "elif"):
            reading.choice()
        elif word == "for":
            self._loops = [*self._loops, reading.loop(self._loops)]
        elif word not in _ENDING:
            raise _RefusedError
        elif word == "endfor":
            self._loops = self._loops[:-1]


class _Reading:
    def __init__(self, body: str, filters: Filters, loops: list[dict[str, Path]]) -> None:
        self.needed: set[Path] = set()
        self._filters = filters
        self._loops = loops
        self._named = False
        self._widened = self._depth = self._at = 0
        self._tokens: list[tuple[str, str]] = []
        body, place = body.rstrip(), 0
        while place < len(body):
            found = _TOKEN.match(body, place)
            if found is None:
                raise _RefusedError
            kind = str(found.lastgroup)
            self._tokens.append((kind, found[kind]))
            place = found.end()

    def _next(self, ahead: int = 0) -> tuple[str, str]:
        place = self._at + ahead
        return self._tokens[place] if place < len(self._tokens) else ("", "")

    def _taken(self, *values: str) -> bool:
        kind, value = self._next()
        if kind in ("", "text") or value not in values:
            return False
        self._at += 1
        return True

    def _need(self, value: str) -> None:
        if not self._taken(value):
            raise _RefusedError

    def word(self) -> str:
        """Take a word."""
        kind, value = self._next()
        if kind != "word":
            raise _RefusedError
        self._at += 1
        return value

    def need_name(self) -> None:
        """Refuse what shows nothing of what is given: who calculates in a template tries it out."""
        if not self._named:
            raise _RefusedError

    def end(self) -> None:
        """Refuse what has not been read."""
        if self._at != len(self._tokens):
            raise _RefusedError

    def loop(self, around: list[dict[str, Path]]) -> dict[str, Path]:
        """Read a loop after its `for`; return its names."""
        names = [self.word()]
        if self._taken(","):
            names.append(self.word())
        # A name that the template gives itself may be any.
        if any(name in _OF_JINJA or name.startswith("_") for name in names):
            raise _RefusedError
        self._need("in")
        if self._next() == ("word", "range") and self._next(1) == ("sign", "("):
            self._at += 2
            kind, value = self._next()
            if kind != "number" or not value.isdigit() or int(value) > _MAX_RANGE or around:
                raise _RefusedError
            self._at += 1
            self._need(")")
            return dict.fromkeys(names, ())
        outer = {name for scope in around for name in scope}
        first = self._next()[1]
        over = self._path()
        begun = self._at
        self._changed()
        if over and not _KEEPING.issuperset(
            w for k, w in self._tokens[begun : self._at] if w != "|"
        ):
            self.needed.add(over)  # what is gone through is another thing
        each: Path = (*over, *[EACH] * len(names)) if over else ()
        if self._taken("if"):
            self._loops = [*around, dict.fromkeys(names, each)]
            self._either()
        if len(around) >= _MAX_LOOPS or (around and first not in outer):
            raise _RefusedError
        self.needed.add((*over, LIST) if over else ())
        return dict.fromkeys(names, each)

    def choice(self) -> None:
        """Read `a if b else c`, or what is shown."""
        self._either()
        if self._taken("if"):
            self._either()
            if self._taken("else"):
                self.choice()

    def _either(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _RefusedError
        self._comparison()
        while self._taken("and", "or"):
            self._comparison()
        self._depth -= 1

    def _comparison(self) -> None:
        while self._taken("not"):
            pass
        self._sum()
        while True:
            if self._taken("is"):
                self._taken("not")
                if self.word() not in _ASKING:
                    raise _RefusedError
            elif self._taken(*_COMPARING):
                self._sum()
            else:
                return

    def _sum(self) -> None:
        before = self._value()
        while True:
            kind, sign = self._next()
            if kind != "sign" or sign not in ("+", "-", "*", "/"):
                return
            self._at += 1
            after = self._value()
            if before is None or after is None:
                raise _RefusedError  # a text that is multiplied may be endless
            self.needed |= {(*path, NUMBER) for path in (before, after) if path}
            before = ()

    def _value(self) -> Path | None:
        """Read a value with its filters; return its path, empty for a number, None for else."""
        self._taken("-")
        kind, value = self._next()
        read: Path | None = None
        if kind == "text":
            self._at += 1
            self._shown_in(value[1:-1])
        elif kind == "number":
            self._at += 1
            read = ()
        elif value == "(" and kind == "sign":
            self._at += 1
            self.choice()
            self._need(")")
        elif kind == "word" and value in _VALUES:
            self._at += 1
        else:
            read = self._path()
            counted = self._next() == ("sign", "|") and self._next(1)[1] in _COUNTING
            self.needed.add((*read, LIST) if counted and read else read)
        return None if self._changed() else read

    def _shown_in(self, form: str) -> None:
        """Read a value that a text has a place for: `'%.2f' % price`, `'%d'|format(number)`."""
        called = [self._next(n)[1] for n in range(3)] == ["|", "format", "("]
        if not called and self._next() != ("sign", "%"):
            return
        if _FORM.fullmatch(form) is None:
            raise _RefusedError
        self._at += 3 if called else 1
        if called:
            self._sum()
            self._need(")")
        else:
            self._value()

    def _changed(self) -> bool:
        """Read filters; return whether there are any."""
        begun = self._at
        while self._taken("|"):
            name = self.word()
            self._widened += name in self._filters.widening
            if self._widened > 1 or not self._filters.passes(name):
                raise _RefusedError
            if self._taken("(") and not self._taken(")"):
                self._given()
                while self._taken(","):
                    self._given()
                self._need(")")
        return self._at > begun

    def _given(self) -> None:
        kind, value = self._next()
        if kind == "number" and len(value) > 4 and value.isdigit():
            raise _RefusedError  # what it makes may be as long
        if kind in ("text", "number") or value in _VALUES:
            self._at += 1
        else:
            self.needed.add(self._path())

    def _path(self) -> Path:
        name = self.word()
        self._named = True
        known = next((scope[name] for scope in reversed(self._loops) if name in scope), None)
        if name == "loop" and self._loops:
            self._need(".")
            if self.word() not in _OF_LOOPS:
                raise _RefusedError
            return ()
        if known is None and (not _is_open(name) or name in _OF_JINJA):
            raise _RefusedError
        steps: list[str | int] = [name] if known is None else [*known]
        while self._taken(".", "["):
            steps.append(self._step())
            if len(steps) > MAX_STEPS:
                raise _RefusedError
        return tuple(steps)

    def _step(self) -> str | int:
        if self._tokens[self._at - 1][1] == ".":
            name = self.word()
            if not _is_open(name):
                raise _RefusedError
            if self._taken("("):
                self._need(")")
                return f"{name}()"
            return name
        kind, value = self._next()
        self._at += 1
        self._need("]")
        if kind == "number" and value.isdigit():
            return int(value)
        if kind != "text" or not _is_open(value[1:-1]):
            raise _RefusedError
        return value[1:-1]


def _is_open(name: str) -> bool:
    return is_field(name) and not name.startswith("_")
