"""The handler of a function of Node.js is found in each of its forms, and findings are of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from casemate.audit import javascript
from casemate.audit.auditing import audit
from casemate.audit.finding import Finding
from casemate.audit.importers.aws.data import DataMissingError
from casemate.audit.javascript import syntax

_HEAD = (
    "AWSTemplateFormatVersion: '2010-09-09'\nTransform: AWS::Serverless-2016-10-31\nResources:\n"
)
_BODY = "{ require('child_process').exec('ls ' + event.name); }"
_COMMON = f"exports.handler = (event) => {_BODY};\n"
_MODULE = (
    "import { exec } from 'node:child_process';\n"
    "export const handler = async (event) => { exec('ls ' + event.name); };\n"
)


def template(handler: str, code: str = "src/", more: str = "") -> str:
    return (
        f"{_HEAD}  Thing:\n    Type: AWS::Serverless::Function\n    Properties:\n"
        f"      Runtime: nodejs22.x\n      Handler: {handler}\n      CodeUri: {code}\n{more}"
    )


def found(folder: Path, files: dict[str, str]) -> list[Finding]:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return [each for each in audit(folder).findings if each.rule.startswith("DF-")]


@pytest.mark.parametrize(
    ("handler", "code", "file", "text"),
    [
        ("index.handler", "src/", "src/index.js", _COMMON),
        ("index.handler", "src/", "src/index.mjs", _MODULE),
        ("index.handler", "src/", "src/index.cjs", _COMMON),
        ("index.handler", "src/", "src/index.ts", _MODULE),
        ("index.handler", "src/", "src/index.mts", _MODULE),
        ("api/list.handler", "src/", "src/api/list.ts", _MODULE),
        ("src/index.handler", ".", "src/index.js", _COMMON),
        ("dist/index.handler", ".", "src/index.ts", _MODULE),
        ("app.handler", ".", "src/app.ts", _MODULE),
        (
            "index.run",
            "src/",
            "src/index.js",
            f"module.exports = {{ run: async (event) => {_BODY} }};",
        ),
    ],
)
def test_a_handler_is_found(tmp_path: Path, handler: str, code: str, file: str, text: str) -> None:
    [one] = found(tmp_path, {"template.yaml": template(handler, code), file: text})
    assert one.rule == "DF-002"
    assert one.place.file == file
    assert one.function == "Thing"
    assert [step.place.file for step in one.steps] == [file] * len(one.steps)


def test_code_in_a_template(tmp_path: Path) -> None:
    text = (
        f"{_HEAD}  Thing:\n    Type: AWS::Lambda::Function\n    Properties:\n      Runtime: nodejs22.x\n"
        "      Handler: index.handler\n      Code:\n        ZipFile: |\n"
        f"          const a = 1;\n          {_COMMON}"
    )
    [one] = found(tmp_path, {"template.yaml": text})
    assert one.rule == "DF-002"


def test_code_without_a_template(tmp_path: Path) -> None:
    files = {"lib/a.js": _COMMON, "b.ts": _MODULE}
    assert {each.place.file for each in found(tmp_path, files)} == {"lib/a.js", "b.ts"}


def test_steps_lead_through_the_files_of_a_project(tmp_path: Path) -> None:
    [one] = found(
        tmp_path,
        {
            "serverless.yml": "service: a\nprovider: {name: aws, runtime: nodejs20.x}\n"
            "functions:\n  list: {handler: src/list.handler, events: [{httpApi: 'GET /a'}]}\n",
            "src/list.js": "const { find } = require('./db');\n"
            "exports.handler = (event) => find(event.pathParameters.id);\n",
            "src/db.js": "const { Pool } = require('pg');\nconst pool = new Pool();\n"
            "exports.find = (id) => pool.query(`SELECT ${id}`);\n",
        },
    )
    assert one.rule == "DF-001"
    assert (one.place.file, one.place.line) == ("src/db.js", 3)
    assert one.steps[0].place.file == "src/list.js"
    assert "event.pathParameters.id" in one.text


def test_without_the_extra_the_command_to_install_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(syntax, "find_spec", lambda name: None)
    syntax._parser.cache_clear()
    with pytest.raises(DataMissingError, match=r"tree_sitter") as error:
        javascript.parse("a.js", "1")
    assert ".whl[audit]" in str(error.value.next_step)
    with pytest.raises(DataMissingError):
        found(tmp_path, {"template.yaml": template("index.handler"), "src/index.js": _COMMON})
    syntax._parser.cache_clear()


@pytest.mark.storm
def test_the_parser_is_loaded_when_it_is_needed() -> None:
    code = (
        "import sys, casemate.audit.rules.all; "
        "sys.exit(any(name.startswith('tree_sitter') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
