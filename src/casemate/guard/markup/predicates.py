"""Predicates and paths of XPath of an event that tell nodes apart and only go down.

A predicate chooses among the nodes that the code's path has come to. It has no more power than one
name that is compared (`quoted.py`) if all of its paths go down from there, by names that are not
likely to be hidden, and it leaves what the code has put beside it as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..origin import Span
from ..plain_names import is_hidden
from ..quoted import BROKEN, NUMBER, OPERATOR, STRING, WORD, Language, Token, tokenize

MAX_LOOKED = 2000
"""Tokens of an expression in which predicates may be the event's."""
MAX_PREDICATE = 256
"""Tokens of one."""
_MAX_DEPTH = 8
_MAX_SEARCHED = 2
"""Steps to all that is below (`//`): each multiplies what is looked at."""
_FUNCTIONS = frozenset(
    [
        *("boolean", "ceiling", "concat", "contains", "count", "floor", "last", "normalize-space"),
        *("not", "number", "position", "round", "starts-with", "string", "string-length"),
        *("substring", "substring-after", "substring-before", "sum", "translate", "true", "false"),
        *("ends-with", "lower-case", "upper-case", "min", "max", "avg", "abs"),
    ]
)
"""Which read nothing but their arguments."""
_TESTS = frozenset(("text",))
_AROUND = {"[": "]", "(": ")"}


class _RefusedError(Exception):
    """An expression does more."""


class _EndedError(_RefusedError):
    """It ends where a value is due."""


def without_predicates(text: str, spans: Sequence[Span], spoken: Language) -> list[Span]:
    """Return the spans without those that are such predicates, or parts of one in brackets."""
    tokens = tokenize(text, spoken)
    if not tokens or len(tokens) > MAX_LOOKED or tokens[-1][0] == BROKEN:
        return list(spans)
    return [span for span in spans if not _is_predicate(text, span, tokens)]


def goes_down(text: str, spoken: Language) -> bool:
    """Tell whether an expression only reads what is below the node that it is evaluated for."""
    tokens = tokenize(text, spoken)
    if len(tokens) > MAX_PREDICATE or any(kind == BROKEN for kind, *_ in tokens):
        return False
    reading = _Reading(text, tokens, told_apart=False)
    try:
        reading.either()
    except _EndedError:
        return True  # no expression: nothing of it is evaluated
    except _RefusedError:
        return False
    return reading.ended


def _is_predicate(text: str, span: Span, tokens: Sequence[Token]) -> bool:
    first = next((n for n, token in enumerate(tokens) if token[1] >= span.start), len(tokens))
    last = first
    while last < len(tokens) and tokens[last][2] <= span.end:
        last += 1
    if not 0 < last - first <= MAX_PREDICATE or first < 1 or last >= len(tokens):
        return False
    # Of what is before and after, none may be a part of the event's.
    if tokens[first - 1][2] > span.start or tokens[last][1] < span.end:
        return False
    before, after = (text[t[1] : t[2]] for t in (tokens[first - 1], tokens[last]))
    if before == "(" and not _is_grouping(text, tokens, first - 1):
        return False
    return _leaves_beside(_Reading(text, tokens[first:last], told_apart=True), before, after)


def _leaves_beside(reading: _Reading, before: str, after: str) -> bool:
    """Tell whether a predicate stands beside what the code has put there and leaves it."""
    try:
        weakest = reading.either()
    except _EndedError:
        # It is a syntax error, of which nothing is evaluated.
        return after == _AROUND.get(before)
    except _RefusedError:
        return False
    if not reading.ended or not reading.has_path:
        return False
    joining = ("or",) if weakest == "or" else ("or", "and")
    return before in ("[", "(", *joining) and after in ("]", ")", *joining)


def _is_grouping(text: str, tokens: Sequence[Token], at: int) -> bool:
    """Tell whether a bracket is around a condition: that of no function but `not`."""
    word = text[tokens[at - 1][1] : tokens[at - 1][2]] if at else ""
    return word in ("[", "(", "and", "or", "not")


class _Reading:
    """Reads an expression from its tokens, each once."""

    def __init__(self, text: str, tokens: Sequence[Token], *, told_apart: bool) -> None:
        """`told_apart`: each comparison has to be with something of the node."""
        self._words = [text[start:end] for _, start, end in tokens]
        self._kinds = [kind for kind, *_ in tokens]
        self._at = 0
        self._depth = self._searched = 0
        self._told_apart = told_apart
        self.has_path = False
        """Whether any name was read."""
        self._tells = False
        """Whether what is being compared has a name, or the node's place."""

    @property
    def ended(self) -> bool:
        """Whether all was read."""
        return self._at == len(self._words)

    def _word(self, ahead: int = 0) -> str:
        place = self._at + ahead
        return self._words[place] if place < len(self._words) else ""

    def _taken(self, *words: str) -> bool:
        if self.ended or self._words[self._at] not in words:
            return False
        self._at += 1
        return True

    def _need(self, word: str) -> None:
        if not self._taken(word):
            raise _EndedError if self.ended else _RefusedError

    def either(self) -> str:
        """Read a choice; return `or`, `and` or nothing, by what joins its parts."""
        weakest = self._all()
        while self._taken("or"):
            weakest = "or"
            self._all()
        return weakest

    def _all(self) -> str:
        weakest = ""
        self._comparison()
        while self._taken("and"):
            weakest = "and"
            self._comparison()
        return weakest

    def _comparison(self) -> None:
        had, self._tells = self._tells, False
        self._sum()
        compared = False
        while self._word() in ("=", "<", ">") or (self._word() == "!" and self._word(1) == "="):
            if not self._taken("="):
                self._at += 1
                self._taken("=")
            compared = True
            self._sum()
        if compared and self._told_apart and not self._tells:
            raise _RefusedError  # `1 = 1`
        self._tells = self._tells or had

    def _sum(self) -> None:
        self._taken("-")
        self._value()
        while self._taken("+", "-", "*", "div", "mod", "|"):
            self._value()

    def _value(self) -> None:
        if self.ended:
            raise _EndedError
        kind, word = self._kinds[self._at], self._words[self._at]
        if kind in (STRING, NUMBER):
            self._at += 1
        elif word == "(":
            self._inside(self.either, "(", ")")
        elif kind == WORD and self._word(1) == "(" and word not in _TESTS:
            self._call(word)
        else:
            self._path()

    def _inside(self, read: Callable[[], object], begin: str, end: str) -> None:
        self._need(begin)
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _RefusedError
        read()
        self._need(end)
        self._depth -= 1

    def _call(self, word: str) -> None:
        if word not in _FUNCTIONS:
            raise _RefusedError
        self._at += 1
        self._tells |= word in ("position", "last")

        def arguments() -> None:
            if self._word() == ")":
                return
            self.either()
            while self._taken(","):
                self.either()

        self._inside(arguments, "(", ")")

    def _path(self) -> None:
        if not (self._word(1) == "/" and self._taken(".")):
            self._step()
        while self._taken("/"):
            if self._taken("/"):
                self._searched += 1
                if self._searched > _MAX_SEARCHED:
                    raise _RefusedError
            self._step()

    def _step(self) -> None:
        attribute = self._taken("@")
        if self.ended:
            raise _EndedError
        kind, word = self._kinds[self._at], self._words[self._at]
        if kind == OPERATOR or kind != WORD or is_hidden(word):
            raise _RefusedError
        self._at += 1
        self.has_path = self._tells = True
        if self._word() == ":":
            raise _RefusedError  # an axis
        if word in _TESTS and self._taken("("):
            self._need(")")
        while not attribute and self._word() == "[":
            self._inside(self.either, "[", "]")
