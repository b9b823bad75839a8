"""In which modules, and of which calls, the guard asks what objects of the code's are given."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from casemate.guard.asking import asks_by_text, may_ask
from casemate.guard.names import ASKS
from casemate.guard.provenance import Provenance


@pytest.mark.parametrize(
    ("code", "asks"),
    [
        ('scope = {"method": "POST"}', False),
        ('app.route("/x", methods=["POST", "GET"])', False),
        ('if request.method == "POST": pass', False),
        ('if event["httpMethod"] not in ("GET", "HEAD"): pass', False),
        ('client.send(" ".join(["GET", key]))', True),
        ('scope = {"verb": "GET"}', True),
        ('client.ask(f"GET {key}"); scope = {"method": "GET"}', True),
        ('if request.method == "POST": client.ask(["DELETE", key])', True),
        ('client.ask("SET")', True),
        ("client.ask(f\"owner = '{name}' and open = 1\")", True),
    ],
)
def test_a_word_of_http_is_no_command_where_its_name_says_so(code: str, asks: bool) -> None:
    assert asks_by_text(ast.parse(code)) is asks


@pytest.mark.parametrize(
    ("call", "asks"),
    [
        *(("ask('a', (x, y))", False), ("ask('a', {'x': y})", True), ("ask([x])", False)),
        *(("ask(x)", True), ("ask('a', x)", True), ("ask(f'{x}', (y,))", True), ("ask()", False)),
    ],
)
def test_values_beside_a_statement_are_no_text(call: str, asks: bool) -> None:
    node = ast.parse(call, mode="eval").body
    assert isinstance(node, ast.Call)
    assert may_ask(node, "ask") is asks


def test_calls_are_announced_where_they_are_given_a_text() -> None:
    def own(*given: Any, **named: Any) -> int:
        return len(given) + len(named)

    told: list[Any] = []
    made = Provenance()
    made.root = own.__code__.co_filename.rpartition("/")[0]
    made.watchers[ASKS] = lambda given, named: told.append((given[1:], named))
    written = "written"
    made.literals[written] = written
    made.begin()
    call = made.told(own)
    assert [call(3, 1.5, None, True), call(written), call(n=2), call()] == [4, 1, 1, 0]
    assert told == []
    other = "".join(["writ", "ten"])
    assert [call(other), call(1, b"x"), call(x=other), call({"a": other}, 1)] == [1, 2, 1, 2]
    given = [((other,), {}), ((1, b"x"), {}), ((), {"x": other}), (({"a": other}, 1), {})]
    assert told == given
