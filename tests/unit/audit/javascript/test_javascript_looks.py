"""What rules look for in the syntax of JavaScript is found, and its harmless twins are not."""

from __future__ import annotations

import time

import pytest
from tests.unit.audit.javascript.javascript_looks_cases import FOUND, PASSED

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.javascript.parts import parsed_text
from casemate.audit.rule import Subject
from casemate.audit.rules.all import RULES
from casemate.audit.rules.data_flow import RULES as FLOWS
from casemate.audit.rules.examples import resource
from casemate.audit.rules.scripts import LOOKS, look
from casemate.audit.workspace import Workspace


def seen(text: str, file: str = "app.ts") -> dict[str, int]:
    parsed = parsed_text(file, text)
    assert not parsed.broken, text
    return {name: len(found) for name, found in look(file, parsed)[0].items()}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in FOUND.items() for text in texts]
)
def test_it_is_found(name: str, text: str) -> None:
    assert seen(text).get(name) == 1, text


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in PASSED.items() for text in texts]
)
def test_a_harmless_twin_is_passed(name: str, text: str) -> None:
    assert name not in seen(text), text


def test_each_look_has_both() -> None:
    assert FOUND.keys() == PASSED.keys() == LOOKS.keys()
    assert "debug" in seen(
        "module.exports = { productionBrowserSourceMaps: true }", "next.config.js"
    )


def node(code: str, *, inline: bool = False) -> dict[str, str]:
    body = "Runtime: nodejs22.x\nHandler: app.handler\n"
    if inline:
        lines = "".join(f"  {line}\n" for line in code.splitlines())
        body = body.replace("app.", "index.") + f"InlineCode: |\n{lines}"
        return dict(resource("AWS::Serverless::Function", body))
    files = dict(resource("AWS::Serverless::Function", body + "CodeUri: src/"))
    return {**files, "src/app.js": code}


def subject(files: dict[str, str]) -> Subject:
    workspace = Workspace.of(files)
    [application] = applications_of(workspace)
    return Subject(application, workspace, Code(workspace))


def rules(about: Subject, start: str = "JS-") -> list[tuple[str, str, int]]:
    return sorted(
        (finding.rule, finding.place.file, finding.place.line)
        for rule in RULES
        if rule.id.startswith(start)
        for finding in rule.findings(about)
    )


def test_code_in_a_template_is_looked_at_where_it_stands() -> None:
    code = "exports.handler = async (event) => {\n  console.log(event)\n}"
    files = node(code, inline=True)
    [(rule, file, line)] = rules(subject(files))
    assert (rule, file) == ("JS-001", "template.yaml")
    assert "console.log" in files["template.yaml"].split("\n")[line - 1]


@pytest.mark.parametrize("first", ["JS-", "DF-", "PRV-"])
def test_whichever_rules_are_asked_first_syntax_is_let_go(first: str) -> None:
    files = node("exports.handler = async (e) => eval(e.body)\n")
    files["src/other.js"] = "try { a() } catch (e) {}\n"
    about = subject(files)
    found = {start: rules(about, start) for start in (first, "JS-", "DF-")}
    assert [rule for rule, *_ in found["JS-"]] == ["JS-003", "JS-016"]
    assert [rule for rule, *_ in found["DF-"]] == ["DF-004"]
    kept = about.code._made
    assert not [key for key in kept if key[0] == "javascript"]


def test_a_fault_on_one_file_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise AttributeError

    about = subject(node("exports.handler = async (e) => eval(e.body)\n"))
    monkeypatch.setattr("casemate.audit.rules.scripts.analyse", broken)
    assert [rule for rule, *_ in rules(about)] == ["JS-003"]
    assert not [f for rule in FLOWS for f in rule.findings(about)]
    assert "data could not be followed here: AttributeError" in [
        n.what for n in about.workspace.notes
    ]


def test_the_time_for_looking_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("casemate.audit.rules.scripts.MAX_LOOKED", -1.0)
    about = subject(node("try { a() } catch (e) {}\n"))
    assert rules(about) == []
    assert any("the time was used up before" in note.what for note in about.workspace.notes)


@pytest.mark.parametrize(
    "text",
    [
        "try { a() } catch (e) { return " + "(" * 300 + "e.message" + ")" * 300 + " }",
        "const a = " + "[" * 200 + "]" * 200,
        "x." * 5_000 + "y(event)",
        "console.log(" + "a + " * 5_000 + "event)",
        "try { } catch (e) { " + "if (a) { " * 150 + "return e.message" + " }" * 150 + " }",
        "function f(event) { " * 90 + "console.log(event)" + " }" * 90,
    ],
    ids=["brackets", "lists", "members", "sum", "ifs", "functions"],
)
def test_nesting_ends_nothing(text: str) -> None:
    began = time.process_time()
    look("app.js", parsed_text("app.js", text))
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    ("outer", "inner", "last"),
    [
        ("try{a()}catch(e){", "b=e.c+d;\n", "}"),
        ("function f(event){", "a(b);\n", "}"),
        ("(err=>{", "x(y);\n", "})"),
    ],
)
def test_what_is_in_one_another_is_looked_at_within_a_bound(
    outer: str, inner: str, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casemate.audit.javascript.script_file._MAX_WALKED", 20_000)
    about = subject(node(outer * 90 + inner * 100 + last * 90))
    assert rules(about) == []
    assert any("it is nested too deeply" in each.what for each in about.workspace.notes)


def test_a_long_file_takes_its_time_once() -> None:
    part = "exports.h%d = async (event) => { try { await a(event) } catch (e) { return { body: `${e}` } } }\n"
    text = "".join(part % number for number in range(1_000))
    parsed = parsed_text("app.js", text)
    began = time.process_time()
    assert len(look("app.js", parsed)[0]["told errors"]) == 1_000
    assert time.process_time() - began < 3
