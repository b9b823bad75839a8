"""Applications of other platforms, written before their importers were read: each is told of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.audit.platforms import google_apps, knative_apps, more_apps, openfaas_apps

from casemate.audit import Report, Workspace, applications_of, audit
from casemate.audit.model import Platform, Reach
from casemate.audit.rules.all import RULES

_MARK = re.compile(r"[ ]*(?:#|//)@(\d+)$", re.MULTILINE)
_CWES = {rule.id: rule.cwe for rule in RULES}
_ALIKE = ({94, 95, 1336}, {798, 526}, {209, 489}, {532, 117})
EVERY = {**openfaas_apps.APPS, **knative_apps.APPS, **google_apps.APPS, **more_apps.APPS}


def _alike(one: int, other: int) -> bool:
    return one == other or any({one, other} <= family for family in _ALIKE)


def audited(folder: Path, files: dict[str, str]) -> Report:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(_MARK.sub("", text))
    return audit(folder)


@pytest.mark.parametrize("name", EVERY)
def test_what_is_wrong_is_told_at_its_line_and_nothing_else_is(name: str, tmp_path: Path) -> None:
    files = EVERY[name]
    found = audited(tmp_path, files)
    told = {(f.place.file, f.place.line, _CWES[f.rule]) for f in found.findings}
    wanted = {
        (file, text.count("\n", 0, mark.start()) + 1, int(mark[1]))
        for file, text in files.items()
        for mark in _MARK.finditer(text)
    }

    def is_told(file: str, line: int, cwe: int) -> bool:
        return any(f == file and n == line and _alike(cwe, c) for f, n, c in told)

    assert not [each for each in wanted if not is_told(*each)]
    lines = {(file, line) for file, line, _ in wanted}
    flows = [each.place for each in found.findings if each.rule.startswith("DF-")]
    assert not [each for each in flows if (each.file, each.line) not in lines]


def test_a_service_of_knative_finds_its_code_by_the_name_of_its_image() -> None:
    service = (
        "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: first}\n"
        "spec: {template: {spec: {containers: [{image: 'x/second:1'}]}}}\n"
    )
    files = {"deploy/a.yaml": service, "second/main.py": "", "third/main.py": ""}
    [found] = applications_of(Workspace.of(files))
    assert [each.files for each in found.functions] == [("second/main.py",)]
    del files["second/main.py"]
    [found] = applications_of(Workspace.of(files))
    assert [each.files for each in found.functions] == [("third/main.py",)]


def test_the_file_of_a_function_of_knative_is_read() -> None:
    text = "specVersion: 0.36.0\nname: a\nruntime: go\ndeploy: {options: {scale: {max: 3}}}\n"
    [found] = applications_of(Workspace.of({"func.yaml": text}))
    [function] = found.functions
    assert (function.name, function.concurrency, function.reach) == ("a", 3, Reach.PUBLIC)
    assert not list(applications_of(Workspace.of({"func.yaml": text.replace("name: a", "")})))


def test_a_file_of_an_environment_that_is_not_here_is_noted() -> None:
    stack = (
        "provider: {name: openfaas}\nfunctions:\n"
        "  a: {lang: python3, handler: ./a, environment_file: [x.yml, ../../out.yml, bad.yml]}\n"
    )
    workspace = Workspace.of({"stack.yml": stack, "bad.yml": "a: [", "a/handler.py": ""})
    [found] = applications_of(workspace)
    assert not found.functions[0].environment
    notes = [(note.place.file, note.what) for note in workspace.notes]
    assert notes[0] == ("stack.yml", "the file 'x.yml' of its environment is not here")
    assert notes[1][1] == "the file '../../out.yml' of its environment is not here"
    assert notes[2][0] == "bad.yml"


def test_functions_of_google_in_javascript_have_their_names_and_reach() -> None:
    files = {"index.js": google_apps.APPS["g6-node"]["index.js"]}
    [found] = applications_of(Workspace.of(files))
    assert found.platform is Platform.GOOGLE
    assert {each.name: each.reach for each in found.functions} == {
        "run": Reach.UNKNOWN,
        "hello": Reach.UNKNOWN,
        "page": Reach.UNKNOWN,
        "job": Reach.INTERNAL,
    }


_CALL = """\
const {{ onCall }} = require('firebase-functions/v2/https');
const vm = require('vm');
exports.formula = onCall(async (request) => {{
  if (!request.auth) throw new Error('no');
  return vm.runInNewContext({given});
}});
"""


@pytest.mark.parametrize(("given", "told"), [("request.data.x", 1), ("request.auth.uid", 0)])
def test_who_calls_a_function_of_firebase_is_proved_and_no_data(
    given: str, told: int, tmp_path: Path
) -> None:
    report = audited(tmp_path, {"index.js": _CALL.format(given=given)})
    assert len([each for each in report.findings if each.rule == "DF-004"]) == told


_ASGI = """\
import os


class Function:
    async def handle(self, scope, receive, send):
        {line}


def new():
    return Function()
"""


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("os.system('ls ' + scope['query_string'].decode())", 1),
        ("os.system('ls ' + (await receive())['body'].decode())", 1),
        ("os.system('ls')", 0),
    ],
)
def test_what_the_class_of_a_function_of_knative_receives_is_followed(
    line: str, told: int, tmp_path: Path
) -> None:
    func = "specVersion: 0.36.0\nname: a\nruntime: python\n"
    report = audited(tmp_path, {"func.yaml": func, "function/func.py": _ASGI.format(line=line)})
    assert len([each for each in report.findings if each.rule == "DF-002"]) == told


@pytest.mark.parametrize(
    ("language", "runtime", "ended"),
    [
        ("node", "node", 0),
        ("node12", "nodejs12.x", 1),
        ("node22", "nodejs22.x", 0),
        ("python27-flask", "python2.7", 1),
        ("python3-http-debian", "python3", 0),
        ("python312-http", "python3.12", 0),
        ("golang-http", "golang", 0),
        ("dockerfile", "dockerfile", 0),
    ],
)
def test_the_language_of_a_stack_says_which_runtime_it_has(
    language: str, runtime: str, ended: int, tmp_path: Path
) -> None:
    stack = f"provider: {{name: openfaas}}\nfunctions:\n  a: {{lang: {language}, handler: ./a}}\n"
    [found] = applications_of(Workspace.of({"stack.yml": stack}))
    assert found.functions[0].runtime == runtime
    told = audited(tmp_path, {"stack.yml": stack}).findings
    assert len([each for each in told if each.rule == "FN-001"]) == ended


def test_functions_of_one_file_are_bounded_and_that_is_noted() -> None:
    lines = "".join(f"http('a{number}', f)\n" for number in range(600))
    text = f"const {{ http }} = require('@google-cloud/functions-framework')\n{lines}"
    workspace = Workspace.of({"index.js": text})
    [found] = applications_of(workspace)
    assert len(found.functions) == 500
    assert [(each.place.line, each.what) for each in workspace.notes] == [
        (502, "more than 500 functions: the rest have no name here")
    ]
