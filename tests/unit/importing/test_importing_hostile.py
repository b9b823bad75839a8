"""Applications that attack whoever imports them."""

from __future__ import annotations

import json
import os
import time
from base64 import b64encode
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casemate.importing import Choices, NothingToImportError, imported
from casemate.importing.writing import copy
from casemate.manifest import load
from casemate.model.errors import CasemateError
from support.importing import run, template, written

HANDLER = "def handler(event, context):\n    return 1\n"
SECRET = "hunter2-and-more"
EVIL = "x\x1b]0;owned\x07\n[function.evil]\npublic = true # \" ' \\ ${x} `rm` <b> \u202e"


def everything(folder: Path) -> bytes:
    return b"\n".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("place", ["../outside", "/etc", "src/../../outside", "linked", "loop/a"])
def test_code_outside_is_not_taken(tmp_path: Path, place: str) -> None:
    written(tmp_path / "outside", {"app.py": HANDLER + "# mine"})
    files = template(HANDLER)
    files["template.yaml"] = files["template.yaml"].replace("CodeUri: src", f"CodeUri: {place}")
    app = written(tmp_path / "app", files)
    (app / "linked").symlink_to(tmp_path / "outside")
    (app / "loop").mkdir()
    (app / "loop/a").symlink_to(app / "loop")
    with pytest.raises(NothingToImportError, match=r"outside of what is imported|not here"):
        imported(app, "sam", tmp_path / "project", Choices())
    assert not (tmp_path / "project").exists()


def test_links_and_devices_among_the_code_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    app = written(tmp_path / "app", template(HANDLER))
    (app / "src/link.txt").symlink_to(tmp_path / "mine")
    (app / "src/folder").symlink_to(tmp_path)
    (app / "src/round").symlink_to(app / "src")
    os.mkfifo(app / "src/pipe")
    imported(app, "sam", tmp_path / "project", Choices())
    code = tmp_path / "project/functions/src"
    assert [each.name for each in code.iterdir()] == ["app.py"]


def test_what_becomes_a_link_after_it_was_found_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/key").write_text("mine")
    app = tmp_path / "app"
    written(app, {"a/key": "a", "key": "b"})
    (app / "a/key").unlink()
    (app / "a").rmdir()
    (app / "a").symlink_to(tmp_path / "mine")
    (app / "key").unlink()
    (app / "key").symlink_to(tmp_path / "mine/key")
    files = {"x/key": "a/key", "key": "key"}
    failed = list(copy(app, files, tmp_path, lambda *_: False))
    assert {file for file, _ in failed} == {"a/key", "key"}
    assert not (tmp_path / "x").exists() and not (tmp_path / "key").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", SECRET),
        ("API_TOKEN", SECRET),
        ("apiKey", "AKIA" + "J7QX2M4KZP5WNB3C"),
        ("URL", f"postgres://user:{SECRET}@db/x"),
        ("X", "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"),
        ("WHATEVER", "${Hidden}"),
        ("INSIDE", "before-${Hidden}-behind"),
    ],
)
def test_secrets_are_nowhere_in_the_folder(tmp_path: Path, name: str, value: str) -> None:
    files = template(
        f"import os\nKEY = os.environ['{name}']\n" + HANDLER,
        variables="{" + name + ": !Sub '" + value + "', PLAIN: kept}",
    )
    parameter = f"Parameters: {{Hidden: {{Type: String, NoEcho: true, Default: {SECRET}}}}}\n"
    files["template.yaml"] = parameter + files["template.yaml"]
    files["src/config.yml"] = f"copied: {SECRET} {value}\n"
    files["src/.env"] = f"{name}={value}\n"
    files["src/id.pem"] = "key"
    found, manifest = run(tmp_path, files)
    text = everything(tmp_path / "project")
    assert SECRET.encode() not in text and value.encode() not in text
    assert manifest["function"]["one"]["environment"] == {"PLAIN": "kept"}
    assert manifest["function"]["one"]["grants"]["secrets"] == list(found.secrets)
    assert any(each.place.line == 2 and "context.secret" in each.instead for each in found.changes)
    assert SECRET not in json.dumps([str(found)])
    assert not list((tmp_path / "project").rglob("*.pem"))


def test_code_that_holds_a_secret_is_not_written(tmp_path: Path) -> None:
    files = template(f"PASSWORD = '{SECRET}'\n" + HANDLER, variables=f"{{DB_PASSWORD: {SECRET}}}")
    with pytest.raises(NothingToImportError):
        run(tmp_path, files)
    inline = files["template.yaml"].replace("CodeUri: src", f"InlineCode: \"KEY = '{SECRET}'\"")
    with pytest.raises(NothingToImportError, match="secret"):
        run(tmp_path / "inline", {"template.yaml": inline})


@pytest.mark.parametrize(
    ("code", "made"),
    [
        (f"URL = 's3://{SECRET}/x'\n", True),
        (f"import boto3\nboto3.client('{SECRET}')\n", True),
        (f"import boto3\nboto3.client('s3').get_paginator('{SECRET}')\n", True),
        (f"import boto3\nboto3.client('s3').get_object(Bucket='{SECRET}')\n", False),
        (f"import boto3\nboto3.client('s3').put_object(Bucket='x-{SECRET}')\n", False),
        (f"import requests\nrequests.get('https://{SECRET}.example/')\n", False),
        (f"import os\nos.environ['{SECRET}']\n", True),
    ],
)
def test_what_is_told_of_code_has_no_secret_in_it(tmp_path: Path, code: str, made: bool) -> None:
    everything_ = "[{Statement: [{Effect: Allow, Action: '*', Resource: '*'}]}]"
    files = template(
        "import helper\n" + HANDLER, policies=everything_, variables=f"{{DB_PASSWORD: {SECRET}}}"
    )
    files["src/helper.py"] = code
    if not made:
        with pytest.raises(NothingToImportError, match="secret"):
            run(tmp_path, files)
        assert not (tmp_path / "project").exists()
        return
    found, _ = run(tmp_path, files)
    assert SECRET.encode() not in everything(tmp_path / "project")
    assert SECRET not in str(found)


def test_secrets_of_functions_that_are_left_out_are_kept_out_too(tmp_path: Path) -> None:
    files = template(HANDLER)
    files["template.yaml"] += f"""
  JsFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src
      Handler: index.handler
      Runtime: nodejs20.x
      Environment: {{Variables: {{DB_PASSWORD: {SECRET}}}}}
"""
    files["src/settings.json"] = json.dumps({"password": SECRET})
    run(tmp_path, files)
    assert SECRET.encode() not in everything(tmp_path / "project")


def hostile(text: str) -> dict[str, str]:
    """Return an application of SAM with a text wherever one may stand."""
    events = {
        f"A{text}": {"Type": "Api", "Properties": {"Path": f"/{text}/{{{text}}}", "Method": "get"}},
        "S": {"Type": "Schedule", "Properties": {"Schedule": text, "Input": json.dumps(text)}},
        "C": {"Type": "Schedule", "Properties": {"Schedule": "rate(1 day)", "Input": text}},
        "Q": {"Type": "SQS", "Properties": {"Queue": text, "BatchSize": text}},
        "T": {"Type": "SNS", "Properties": {"Topic": text, "FilterPolicy": text}},
        "B": {
            "Type": "S3",
            "Properties": {
                "Bucket": text,
                "Events": ["s3:ObjectCreated:*", text],
                "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": text}]}},
            },
        },
        "D": {"Type": "DynamoDB", "Properties": {"Stream": text}},
        "X": {"Type": text},
    }
    function = {
        "CodeUri": "src",
        "Handler": "app.handler",
        "Runtime": "python3.12",
        "Timeout": text,
        "MemorySize": text,
        "Layers": [text],
        "Environment": {"Variables": {text: text, "NAME": text, f"N{text}": "x"}},
        "Policies": [{"Statement": [{"Effect": "Allow", "Action": text, "Resource": text}]}],
        "Events": events,
    }
    resources: dict[str, Any] = {
        f"F{text}": {"Type": "AWS::Serverless::Function", "Properties": function},
        "Plain": {
            "Type": "AWS::Serverless::Function",
            "Properties": {**function, "Events": {}, "Environment": {}},
        },
        f"Q{text}": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": text}},
        f"B{text}": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": text}},
        f"T{text}": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": text,
                "KeySchema": [{"AttributeName": text, "KeyType": "HASH"}],
                "GlobalSecondaryIndexes": [
                    {"IndexName": text, "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}]}
                ],
            },
        },
        f"N{text}": {"Type": text},
    }
    found = {"Transform": "AWS::Serverless-2016-10-31", "Resources": resources}
    return {"template.yaml": yaml.safe_dump(found, allow_unicode=False), "src/app.py": HANDLER}


def checked(folder: Path, text: str) -> None:
    files = hostile(text)
    app = written(folder / "app", files)
    found = imported(app, "sam", folder / "project", Choices(name="shop"))
    project = load(folder / "project/casemate.toml")
    assert all(not each.public for each in project.functions)
    assert "evil" not in {each.name for each in project.functions}
    told = everything(folder / "project").decode() + str(found)
    assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(told)


def test_texts_of_a_template_are_texts(tmp_path: Path) -> None:
    checked(tmp_path, EVIL)
    page = (tmp_path / "project/IMPORT.md").read_text()
    outside = "".join(page.split("`")[::2])  # of spans of code
    assert "<b>" not in outside and "\n[function" not in outside


def test_a_variable_that_a_manifest_refuses_is_named_with_its_place(tmp_path: Path) -> None:
    found, manifest = run(tmp_path, template(HANDLER, variables='{A: "x\\u3164", B: "y"}'))
    assert manifest["function"]["one"]["environment"] == {"B": "y"}
    assert "U+3164, which is not seen, as its character 2" in str(found)


@given(text=st.text(max_size=30))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_at_all(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    checked(tmp_path_factory.mktemp("any"), text)


@pytest.mark.parametrize("number", [".inf", ".nan", "-5", "1e308", "0", "'1e999'", "[1]"])
def test_numbers_that_no_limit_has(tmp_path: Path, number: str) -> None:
    keys = ("Timeout", "MemorySize", "ReservedConcurrentExecutions")
    more = "".join(f"      {key}: {number}\n" for key in keys)
    more += f"      EphemeralStorage: {{Size: {number}}}\n"
    more += f"      EventInvokeConfig: {{MaximumRetryAttempts: {number}}}\n"
    run(tmp_path, template(HANDLER, more=more))


NAMES = ["a\nb.txt", "\x1b[31m.txt", "A.txt", "a.TXT", "b\\c.txt", "x" * 250 + ".txt"]


def test_names_of_files_that_no_build_takes_are_told(tmp_path: Path) -> None:
    app = written(tmp_path / "app", template(HANDLER))
    for name in (*NAMES, "a.txt"):
        (app / "src" / name).write_text("x")
    (app / "src" / os.fsdecode(b"\xff.txt")).write_text("x")
    found = imported(app, "sam", tmp_path / "project", Choices())
    copied = {each.name for each in (tmp_path / "project/functions/src").iterdir()}
    assert copied == {"app.py", "A.txt"}
    assert len([each for each in found.left if "was not copied" in each.what]) == 7
    assert "\x1b" not in str(found)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\n" + "".join(f"b{i}: &b{i} [*a, *a]\n" for i in range(2)),
        "Resources: " + "[" * 200 + "]" * 200,
        "Resources: {F: {Type: AWS::Serverless::Function, Properties: &p {CodeUri: *p}}}",
        "Resources: !!python/object/apply:os.system [id]",
        "Resources: {F: {Type: AWS::Serverless::Function, Properties: 5}}",
        "Resources: {F: {Type: AWS::Serverless::Function, Properties: {Handler: [], Events: []}}}",
        "\ufeffResources: AWS::",
    ],
)
def test_templates_that_are_broken_end_with_an_error(tmp_path: Path, text: str) -> None:
    app = written(tmp_path / "app", {"template.yaml": f"# AWS::\n{text}\n"})
    with pytest.raises(CasemateError):
        imported(app, "sam", tmp_path / "project", Choices())
    assert [each.name for each in tmp_path.iterdir()] == ["app"]


def test_code_that_cannot_be_parsed_is_granted_nothing(tmp_path: Path) -> None:
    code = HANDLER + "x = 1\n"
    files = template(code) | {"src/other.py": "print 'old'\n"}
    files["src/app.py"] = "import other\n" + code
    found, manifest = run(tmp_path, files)
    assert "grants" not in manifest["function"]["one"]
    assert any("cannot be parsed" in each.what and each.blocking for each in found.left)


def test_many_functions_that_share_much_code_take_no_long_time(tmp_path: Path) -> None:
    files = {
        f"src/m{i}.py": f"import m{i + 1}\ndef f{i}():\n    m{i + 1}.f{i + 1}()\n"
        for i in range(99)
    }
    files["src/m99.py"] = (
        "import boto3\ndef f99():\n    boto3.client('s3').get_object(Bucket='b')\n"
    )
    files["src/app.py"] = "import m0\n" + "x = " + "'' + " * 500 + "''\n" + HANDLER
    functions = {
        f"F{i}": {
            "Type": "AWS::Serverless::Function",
            "Properties": {"CodeUri": "src", "Handler": "app.handler", "Runtime": "python3.12"},
        }
        for i in range(100)
    }
    found = {"Transform": "AWS::Serverless-2016-10-31", "Resources": functions}
    files["template.yaml"] = json.dumps(found)
    started = time.process_time()
    run(tmp_path, files)
    assert time.process_time() - started < 10


def test_more_secrets_than_are_looked_for_are_refused(tmp_path: Path) -> None:
    variables = ", ".join(f"T{i}_TOKEN: value-{i}-of-a-secret" for i in range(501))
    with pytest.raises(CasemateError, match="more than 500 secrets"):
        run(tmp_path, template(HANDLER, variables="{" + variables + "}"))
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize(
    "place",
    [
        '      Events: {S: {Type: Schedule, Properties: {Schedule: rate(1 day), Input: \'{"a": "%s"}\'}}}',
        "      Events: {B: {Type: S3, Properties: {Bucket: b, Events: 's3:ObjectCreated:*',"
        " Filter: {S3Key: {Rules: [{Name: prefix, Value: '%s'}]}}}}}",
        "      Events: {Q: {Type: SQS, Properties: {Queue: '%s'}}}",
        "      Layers: ['%s']",
        "      Description: '%s'",
    ],
)
def test_a_secret_that_stands_elsewhere_too_is_not_written(tmp_path: Path, place: str) -> None:
    files = template(HANDLER, more=place % SECRET, variables=f"{{DB_PASSWORD: {SECRET}}}")
    try:
        run(tmp_path, files)
    except NothingToImportError:
        assert not (tmp_path / "project").exists()
    else:
        assert SECRET.encode() not in everything(tmp_path / "project")


MARKED = 'p"a\\s s&w0rd/9+'
LINES = (
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw\n-----END PRIVATE KEY-----"
)


@pytest.mark.parametrize(
    ("value", "spelt"),
    [
        (MARKED, json.dumps({"password": MARKED})),
        (MARKED, f"password = {MARKED!r}"),
        (MARKED, f"postgres://user:{quote(MARKED, safe='')}@db/x"),
        (MARKED, f"password={quote_plus(MARKED)}"),
        (MARKED, f"<password>{escape(MARKED)}</password>"),
        (MARKED, f"auth: {b64encode(MARKED.encode()).decode()}"),
        (MARKED, f"hex: {MARKED.encode().hex()}"),
        (LINES, json.dumps({"key": LINES})),
        (LINES, "key: |\n" + "\n".join(f"  {line}" for line in LINES.splitlines())),
    ],
)
def test_a_secret_that_is_spelt_otherwise_is_not_copied(
    tmp_path: Path, value: str, spelt: str
) -> None:
    files = template(HANDLER, variables="{DB_PASSWORD: " + json.dumps(value) + "}")
    files["src/settings.txt"] = spelt + "\n"
    files["src/other.txt"] = "kept\n"
    found, _ = run(tmp_path, files)
    copied = {each.name for each in (tmp_path / "project").rglob("*.txt")}
    assert copied == {"other.txt"}
    assert any("value of a secret" in each.what for each in found.left)


def test_values_that_are_a_part_of_others_keep_no_file_out(tmp_path: Path) -> None:
    code = "ACCOUNT = 1234567890123\n" + HANDLER
    run(tmp_path, template(code, variables="{DB_PASSWORD: '456789'}"))
    with pytest.raises(NothingToImportError):
        run(tmp_path / "alone", template(code, variables="{DB_PASSWORD: '1234567890123'}"))


def test_a_project_that_was_made_within_before_is_not_taken(tmp_path: Path) -> None:
    files = template(HANDLER)
    files["template.yaml"] = files["template.yaml"].replace("CodeUri: src", "CodeUri: .")
    files["template.yaml"] = files["template.yaml"].replace("app.handler", "src.app.handler")
    app = written(tmp_path / "app", files)
    for name in ("one", "two"):
        imported(app, "sam", app / name, Choices())
    first, second = (
        sorted(str(p.relative_to(app / name)) for p in (app / name).rglob("*") if p.is_file())
        for name in ("one", "two")
    )
    assert first == second


@pytest.mark.parametrize(
    ("bound", "value"),
    [
        ("importing.reading.MAX_SECONDS", 0.0),
        ("audit.privileges.reading.MAX_SECONDS", 0.0),
        ("audit.privileges.reader.MAX_FUNCTIONS", 0),
    ],
)
def test_more_code_than_is_looked_at_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: float
) -> None:
    monkeypatch.setattr(f"casemate.{bound}", value)
    calls = "\n".join("    print()" for _ in range(5))
    found, manifest = run(tmp_path, template(f"def handler(event, context):\n{calls}\n"))
    assert any("more code than is read" in each.what and each.blocking for each in found.left)
    assert "grants" not in manifest["function"]["one"]


def test_a_folder_whose_name_has_lines_writes_none_of_its_own_into_the_page(tmp_path: Path) -> None:
    open_to_all = "      FunctionUrlConfig: {AuthType: NONE}"
    files = template("def handler(event, context): pass\n", more=open_to_all)
    inside = {f"sub`\n\n# Run this\n/{name}": text for name, text in files.items()}
    found, _ = run(tmp_path, inside)
    page = (tmp_path / "project/IMPORT.md").read_text()
    assert found.opened and found.functions
    assert "\n# Run this" not in page
