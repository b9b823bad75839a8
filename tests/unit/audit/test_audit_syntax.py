"""One pass over syntax: the nodes of `ast.walk`, counted and measured as level by level."""

from __future__ import annotations

import ast
import gc
from pathlib import Path

import pytest

from casemate.audit import NothingToAuditError, audit, syntax
from casemate.audit.auditing import collecting_seldom
from casemate.audit.code.reading import Code
from casemate.audit.flow import Entry, Limits, analyse, parse_all
from casemate.audit.flow import limits as flow_limits
from casemate.audit.workspace import Workspace

HERE = Path(__file__).read_text()


@pytest.mark.parametrize(
    "text", ["", "a.b(c=[x for x in y])[1:2]", "match a:\n case {'b': c, **d}: del c", HERE]
)
def test_nodes_are_those_of_a_walk(text: str) -> None:
    tree = ast.parse(text)
    found = syntax.syntax_of(tree)
    every = list(ast.walk(tree))
    assert list(found.nodes) == [n for n in every if not isinstance(n, ast.expr_context)]
    assert found.total == len(every)

    def depth(node: ast.AST) -> int:
        return 1 + max(map(depth, ast.iter_child_nodes(node)), default=0)

    assert found.depth == depth(tree)


def test_a_file_is_parsed_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "def handler(event, context):\n    return eval(event['x'])\n"
    code = Code(Workspace.of({"app.py": text}))
    file = code.python("app.py")
    assert file is not None
    monkeypatch.setattr(ast, "parse", lambda *_, **__: 1 / 0)
    parsed = parse_all({"app.py": text}, {"app.py": file.syntax})
    assert parsed.files["app"].tree is file.tree and not parsed.problems
    entry = Entry(path="app.py", name="handler", event="http", shape="lambda")
    assert [f.weakness for f in analyse(parsed, [entry], Limits()).flows] == ["code"]


@pytest.mark.parametrize(
    ("bound", "told"), [("MAX_NODES", "more than 5 nodes"), ("MAX_DEPTH", "deeper than 5 levels")]
)
def test_what_was_parsed_before_has_the_same_bounds(
    monkeypatch: pytest.MonkeyPatch, bound: str, told: str
) -> None:
    assert getattr(flow_limits, bound) > 5
    monkeypatch.setattr(f"casemate.audit.flow.parsing.{bound}", 5)
    text = "x = [[[[1]]]]"
    shared = parse_all({"a.py": text}, {"a.py": syntax.syntax_of(ast.parse(text))})
    assert shared == parse_all({"a.py": text})
    assert [each.what for each in shared.problems] and told in shared.problems[0].what


def test_garbage_is_looked_for_as_before_after_an_audit(tmp_path: Path) -> None:
    before = gc.get_threshold()
    with pytest.raises(NothingToAuditError):
        audit(tmp_path)
    assert gc.get_threshold() == before
    with collecting_seldom():
        assert gc.get_threshold()[0] > before[0]
        gc.set_threshold(0)
        with collecting_seldom():
            assert gc.get_threshold()[0] == 0  # as whoever embeds it wants it
    assert gc.get_threshold() == before
