"""Input that was made to break what reads it: told with its place, in bounded time, and no crash."""

from __future__ import annotations

import random
import time
from itertools import pairwise
from pathlib import Path

import pytest

from casemate.audit.auditing import audit
from casemate.audit.flow import Analysis, Entry, Limits
from casemate.audit.javascript import Parsed, SyntaxProblemError, analyse, parse, syntax
from casemate.audit.javascript.parts import parsed_text

_SINK = "require('child_process').exec(event.x);"


def analysed(text: str, limits: Limits | None = None, **more: str) -> Analysis:
    files = {"index.js": text, **{f"{name}.js": code for name, code in more.items()}}
    parsed = {name: parsed_text(name, code) for name, code in files.items()}
    return analyse(parsed, [Entry(path="index.js", name="handler")], limits)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 4_000,
        "[" * 3_000 + "]" * 3_000,
        "a+" * 2_000 + "a",
        "{" * 2_000,
        "`${" * 1_000,
        "f(" * 1_000 + ")" * 1_000,
        "x=>" * 1_000 + "1",
        "!" * 3_000 + "1",
        "a." * 2_000 + "b",
        "if(a)" * 1_000 + ";",
        "class A extends (" * 1_000,
        "let x = {{{ ; } function( {",
        "\x00\x01\x02" * 100,
        "\ufeff" + "é" * 1_000,
        "/*" * 2_000,
        "'" * 10_001,
        "async " * 1_000,
        "<a>" * 1_000,
    ],
    ids=range(18),
)
def test_strange_syntax_ends_soon(text: str) -> None:
    started = time.process_time()
    analysed(text)
    analysed(f"exports.handler = (event) => {{ {text} }};")
    assert time.process_time() - started < 8


def test_what_is_too_large_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SyntaxProblemError, match="characters"):
        parse("a.js", "a;" * 400_000)
    monkeypatch.setattr(syntax, "MAX_NODES", 1_000)
    with pytest.raises(SyntaxProblemError, match="nodes"):
        parse("a.js", "a;\n" * 1_000)
    with pytest.raises(SyntaxProblemError, match="nested"):
        parse("a.js", "[" * 3_000 + "]" * 3_000)
    with pytest.raises(SyntaxProblemError, match="not text"):
        parse("a.js", "\0")


def test_time_for_parsing_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [
        "if",
        "else",
        "for",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "=>",
        "=",
        "a",
        "b",
        "c",
        ";",
        ",",
        ".",
        "`",
        "'",
        "/",
        "*",
        "class",
        "function",
        "async",
        "await",
    ]
    chosen = random.Random(7)
    soup = " ".join(chosen.choice(words) for _ in range(30_000))
    monkeypatch.setattr(syntax, "MAX_SECONDS", 0.05)
    started = time.process_time()
    with pytest.raises(SyntaxProblemError, match="too long"):
        parse("a.js", soup)
    assert time.process_time() - started < 0.5


def test_files_that_take_long_are_not_all_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"f{n}.js": f"require('./f{n + 1}'); exports.handler = 1;" for n in range(100)}

    class Slow(dict[str, Parsed]):
        read = 0

        def __getitem__(self, path: str) -> Parsed:
            Slow.read += 1
            until = time.thread_time() + 0.02
            while time.thread_time() < until:
                pass
            return super().__getitem__(path)

    parsed = Slow({name: parsed_text(name, code) for name, code in files.items()})
    found = analyse(parsed, [Entry(path="f0.js", name="handler")], Limits(entry_seconds=0.1))
    assert any("too long" in each.what for each in found.unresolved)
    assert Slow.read < 20


def test_what_is_around_broken_syntax_is_looked_at() -> None:
    found = analysed(f"exports.handler = (event) => {{ {_SINK} }};\nlet = = ) {{ 3x;\n")
    assert [flow.weakness for flow in found.flows] == ["command"]
    assert found.unresolved[0].place.line == 2


def test_files_that_import_one_another_are_read_once() -> None:
    found = analysed(
        "const b = require('./b'); exports.name = 'a'; exports.handler = (event) => b.run(event);",
        b="const a = require('./a'); exports.run = (event) => a.go(event);",
        a=f"const b = require('./b'); exports.go = (event) => {{ if (b.run) {_SINK} }};",
    )
    assert [flow.place.path for flow in found.flows] == ["a.js"]


def test_modules_that_import_one_another_by_name() -> None:
    found = analysed(
        "import { run } from './b'; export const handler = (event) => run(event); export const K = 1;",
        b="import { go } from './a'; export function run(event) { return go(event); }",
        a="import { run } from './b'; import { exec } from 'child_process';\n"
        "export function go(event) { if (event.again) return run(event); exec(event.x); }",
    )
    assert [flow.place.path for flow in found.flows] == ["a.js"]


@pytest.mark.parametrize(
    "body",
    [
        "const f = (n) => f(n + 1); f(0);",
        "const f = (g) => g(g); f(f);",
        "let o = {}; o.o = o; JSON.stringify(o); return o;",
        "while (true) { event.x = event.x + event.y; }",
        "for (;;) { for (;;) { for (;;) { for (;;) { x = [x, x]; } } } }",
        "const a = []; a.push(a); return a.join();",
        "class A { constructor() { new A(); } } new A();",
        "class A extends B {} class B extends A {} new A().x();",
        "const a = { get x() { return this.x; } }; return a.x;",
        "function f() { return f; } f()()()()();",
        "const p = {}; p.__proto__ = p; return p.missing;",
        "let x = event.x; " + "x = x + x; " * 200 + "require('fs').readFileSync(x);",
        "const f0 = () => event.x;"
        + "".join(f"const f{n} = () => f{n - 1}() + f{n - 1}();" for n in range(1, 26))
        + "return f25();",
        "return " + " && ".join(f"(a{n} || b{n}(event.x))" for n in range(60)) + ";",
        "switch (event.x) {" + "".join(f"case {n}: y{n}(event);" for n in range(300)) + "}",
        "".join(f"if (event.a{n}) {{ x{n} = event.b{n}; }}" for n in range(300)),
        "const o = {" + ",".join(f"a{n}: event.a{n}" for n in range(2_000)) + "}; return o;",
        "return event" + ".then((x) => x)" * 150 + ";",
        "return new Proxy(event, { get: (t, k) => t[k][k][k] });",
        "return [..." + "[..." * 50 + "event" + "]" * 51 + ";",
    ],
    ids=range(20),
)
def test_programs_that_never_end_do(body: str) -> None:
    started = time.process_time()
    analysed(
        f"exports.handler = async (event) => {{ {body} }};", Limits(steps=6_000, entry_seconds=1.0)
    )
    assert time.process_time() - started < 4


def test_time_is_linear_in_the_length_of_a_handler() -> None:
    def seconds(lines: int) -> float:
        body = "".join(
            f"const a{n} = event.b{n} || 'c'; call(`x${{a{n}}}`);\n" for n in range(lines)
        )
        started = time.process_time()
        found = analysed(
            f"const call = require('child_process').exec; exports.handler = (event) => {{ {body} }};"
        )
        assert len(found.flows) == lines
        return time.process_time() - started

    seconds(10)
    times = [seconds(lines) for lines in (25, 50, 100)]
    assert all(later < 4 * sooner + 0.1 for sooner, later in pairwise(times)), times


def test_an_audit_tells_of_files_that_are_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "template.yaml").write_text(
        "AWSTemplateFormatVersion: '2010-09-09'\nTransform: AWS::Serverless-2016-10-31\nResources:\n"
        + "".join(
            f"  {name.title()}:\n    Type: AWS::Serverless::Function\n    Properties:\n"
            f"      {{Runtime: nodejs22.x, Handler: {name}.handler, CodeUri: src/}}\n"
            for name in ("long", "binary", "broken", "good", "deep")
        )
    )
    (tmp_path / "src/long.js").write_text("exports.handler = '" + "x" * 900_000 + "'")
    (tmp_path / "src/binary.js").write_bytes(b"\x7fELF\x00\x00\xff\xfe" * 50)
    (tmp_path / "src/broken.js").write_text("exports.handler = (event) => { = ) };\n")
    (tmp_path / "src/deep.js").write_text("x = " + "[" * 2_000 + "]" * 2_000)
    (tmp_path / "src/good.js").write_text(f"exports.handler = (event) => {{ {_SINK} }};\n")
    found = audit(tmp_path)
    assert {f.place.file for f in found.findings if f.rule == "DF-002"} == {"src/good.js"}
    told = {each.place.file for each in found.unresolved}
    assert {"src/long.js", "src/broken.js", "src/deep.js"} <= told
