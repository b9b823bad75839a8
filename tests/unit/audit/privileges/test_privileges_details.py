"""What is read of code beside actions: calls with their places, addresses, variables, files."""

from __future__ import annotations

import ast

import pytest

from casemate.audit.code.reading import Code
from casemate.audit.model import Function, Place, Platform, Variable
from casemate.audit.privileges import HOLE, Details, Files, details_of, environment
from casemate.audit.privileges.details import MAX_KEPT
from casemate.audit.privileges.program import replaced
from casemate.audit.workspace import Workspace

HEAD = "import boto3, os, requests, httpx, aiohttp, http.client\ndef handler(event, context):\n    "


def details(code: str, **files: str) -> Details:
    every = {"app.py": code, **{f"{name}.py": text for name, text in files.items()}}
    workspace = Workspace.of(every)
    function = Function(
        name="f",
        platform=Platform.AWS,
        runtime="python3.13",
        handler="app.handler",
        code=".",
        files=tuple(every),
        entry="app.py",
        environment=(Variable(name="API", value="https://api.example", place=Place("t")),),
        place=Place("t"),
    )
    found = Files(workspace.files)
    return details_of(function, found, Code(workspace), environment(function), 4.0)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("boto3.client('s3').put_object(Bucket='b')", {("s3", "PutObject", "b", True)}),
        (
            "boto3.client('sqs', aws_access_key_id='x').send_message(QueueUrl=event['u'])",
            {("sqs", "SendMessage", HOLE, False)},
        ),
        (
            "[each.delete() for each in boto3.resource('s3').Bucket('b').objects.all()]",
            {
                ("s3", operation, "b", True)
                for operation in ("ListObjects", "DeleteObject", "DeleteObjects")
            },
        ),
        (
            "with boto3.resource('dynamodb').Table('t').batch_writer() as w:\n"
            "        w.delete_item(Key={})",
            {
                ("dynamodb", "BatchWriter", "t", True),
                ("dynamodb", "BatchWriter.delete_item", "t", True),
            },
        ),
        (
            "boto3.client('s3').copy('a/b', 'c', 'd')",
            {("s3", "Copy", "c", True), ("s3", "GetObject", "a", True)},
        ),
        ("boto3.resource('dynamodb').Table('t').item_count", set()),  # is no call in the code
        (
            "boto3.client('s3').get_waiter('object_exists').wait(Bucket='b', Key='k')",
            {("s3", "HeadObject", "b", True)},
        ),
        ("boto3.client('qldb').nothing_of_it()", set()),
    ],
)
def test_calls(call: str, expected: set[tuple[str, str, str, bool]]) -> None:
    found = details(HEAD + call)
    assert {(c.service, c.operation, c.resource, c.own) for c in found.calls} == expected
    assert {(c.place.file, c.place.line) for c in found.calls} <= {("app.py", 3), ("app.py", 4)}


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("requests.get(os.environ['API'] + '/x')", {"https://api.example/x"}),
        ("requests.Session().post(url='https://a.example/')", {"https://a.example/"}),
        ("httpx.Client(base_url='https://b.example').get('/x')", {"https://b.example"}),
        ("httpx.Client().stream('GET', 'https://c.example')", {"https://c.example"}),
        (
            "async def f():\n        async with aiohttp.ClientSession('https://d.example') as s:\n"
            "            await s.get('/x')\n    f()",
            {"https://d.example"},
        ),
        ("http.client.HTTPConnection('e.example')", {"http://e.example"}),
        (
            "for host in ('f', 'g'):\n        requests.get(f'https://{host}.example')",
            {"https://f.example", "https://g.example"},
        ),
        ("requests.get(*event)", {HOLE}),
        ("requests.exceptions.HTTPError('https://a.example')", set()),
    ],
)
def test_addresses(call: str, expected: set[str]) -> None:
    assert {each.name for each in details(HEAD + call).addresses} == expected


def test_a_client_of_http_has_no_rights() -> None:
    code = HEAD + "s = requests.Session()\n    s.auth = boto3.client('sqs')\n"
    code += "    s.post('https://a.example', data=s.auth.send_message(QueueUrl='q'))"
    found = details(code)
    assert {(c.operation, c.resource) for c in found.calls} == {("SendMessage", "q")}
    assert {each.name for each in found.addresses} == {"https://a.example"}


def test_variables_files_and_libraries() -> None:
    code = "import other\n" + HEAD + "os.getenv('A'), os.environ['B'], os.environ.get(event['c'])\n"
    code += "    open('/etc/x'), open(event['f'])\n    from yaml import load\n"
    found = details(code, other="print 'old'\n")
    assert [each.name for each in found.variables] == ["A", "B"]
    assert [each.name for each in found.files] == ["/etc/x"]
    assert {"boto3", "requests", "yaml"} <= found.libraries and "other" not in found.libraries
    assert found.unread == ("other.py",) and not found.why


def test_what_is_kept_is_bounded_and_said() -> None:
    calls = "\n    ".join(f"os.getenv('V{n}')" for n in range(MAX_KEPT + 5))
    found = details(HEAD + calls)
    assert len(found.variables) == MAX_KEPT and found.why == "it calls and reads too much"
    assert not details(HEAD + "os.getenv('A')").why


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import a\na = 1", {"a"}),
        ("from a import b as c\ndef c(): pass", {"c"}),
        ("import a, b\nx = b\na = b = 1", {"a"}),
        ("import a\na = wrapped(a)", set()),
        ("import a\ndef f(): return a\na = 1", set()),
        ("import a\nif x:\n    a = 1", set()),
        ("try:\n    import a\nexcept ImportError:\n    a = None", set()),
        ("a = 1\nimport a", set()),
    ],
)
def test_an_import_that_nothing_can_have_used(code: str, names: set[str]) -> None:
    assert {name for _, name in replaced(ast.parse(code).body)} == names


def test_a_long_sum_is_not_deep() -> None:
    sums = "+".join(["'b'"] * 800)
    [call] = details(HEAD + f"boto3.client('s3').put_object(Bucket={sums})").calls
    assert call.resource == "b" * 800
