"""`match`: which cases can be reached, and what their names stand for."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from casemate.audit.flow.operators import compared
from casemate.audit.flow.ports import Reader
from casemate.audit.flow.state import Mapping, State, merged
from casemate.audit.flow.values import (
    EVERY,
    Const,
    Ref,
    Unknown,
    Value,
    options,
    shallow,
)

Execute = Callable[[Reader, Sequence[ast.stmt], State], State | None]


def match(reader: Reader, node: ast.Match, state: State, execute: Execute) -> State | None:
    """Read a `match` statement."""
    subject = reader.evaluate(node.subject, state)
    ended: list[State] = []
    at: State | None = state
    for case in node.cases:
        if at is None:
            break
        fits = _fits(reader, case.pattern, subject, at)
        if fits is False:
            continue
        inside: State | None = at.copy()
        sure = fits is True and case.guard is None
        if inside is not None:
            _bind(reader, case.pattern, subject, inside)
            if case.guard is not None:
                inside = reader.decide(case.guard, inside)[0]
        if inside is not None:
            after = execute(reader, case.body, inside)
            if after is not None:
                ended.append(after)
        if sure:
            at = None
    return merged([*ended, *([at] if at is not None else [])])


def _fits(reader: Reader, pattern: ast.pattern, subject: Value, state: State) -> bool | None:
    """Return whether a pattern fits, or None if it may."""
    if isinstance(pattern, ast.MatchAs):
        return True if pattern.pattern is None else _fits(reader, pattern.pattern, subject, state)
    if isinstance(pattern, ast.MatchOr):
        found = [_fits(reader, each, subject, state) for each in pattern.patterns]
        if True in found:
            return True
        return None if None in found else False
    if isinstance(pattern, ast.MatchValue):
        value = reader.evaluate(pattern.value, state)
        answers = {compared(ast.Eq(), option, value, state) for option in options(subject)}
        return answers.pop() if len(answers) == 1 else None
    if isinstance(pattern, ast.MatchSingleton):
        answers = {
            compared(ast.Is(), option, Const(pattern.value), state) for option in options(subject)
        }
        return answers.pop() if len(answers) == 1 else None
    if isinstance(subject, Const) and isinstance(pattern, (ast.MatchSequence, ast.MatchMapping)):
        return False
    return None


def _bind(reader: Reader, pattern: ast.pattern, subject: Value, state: State) -> None:
    """Give the names of a pattern their values."""
    if isinstance(pattern, ast.MatchValue):
        value = reader.evaluate(pattern.value, state)
        if isinstance(value, Const):
            for taint in shallow(subject):
                state.learn(taint.forms[0], frozenset(), frozenset((EVERY,)))
    elif isinstance(pattern, ast.MatchAs):
        if pattern.pattern is not None:
            _bind(reader, pattern.pattern, subject, state)
        if pattern.name:
            reader.store(pattern.name, subject, state)
    elif isinstance(pattern, ast.MatchStar):
        if pattern.name:
            reader.store(pattern.name, Unknown(state.deep(subject)), state)
    elif isinstance(pattern, ast.MatchOr):
        for each in pattern.patterns:
            if not isinstance(each, ast.MatchValue):
                _bind(reader, each, subject, state)
        if all(isinstance(each, ast.MatchValue) for each in pattern.patterns):
            _bind(reader, pattern.patterns[0], subject, state)
    elif isinstance(pattern, ast.MatchSequence):
        for number, each in enumerate(pattern.patterns):
            _bind(reader, each, reader.item(subject, Const(number), state, each), state)
    elif isinstance(pattern, ast.MatchMapping):
        for key, each in zip(pattern.keys, pattern.patterns, strict=True):
            name = reader.evaluate(key, state)
            _bind(reader, each, reader.item(subject, name, state, each), state)
        if pattern.rest:
            reader.store(pattern.rest, _rest(subject, state), state)
    elif isinstance(pattern, ast.MatchClass):
        for each in pattern.patterns:
            _bind(reader, each, Unknown(state.deep(subject)), state)
        for label, each in zip(pattern.kwd_attrs, pattern.kwd_patterns, strict=True):
            _bind(reader, each, reader.attribute(subject, label, state, each), state)


def _rest(subject: Value, state: State) -> Value:
    thing = state.things.get(subject.number) if isinstance(subject, Ref) else None
    return subject if isinstance(thing, Mapping) else Unknown(state.deep(subject))
