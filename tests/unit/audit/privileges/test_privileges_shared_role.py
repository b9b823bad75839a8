"""Functions of one role and one folder: told right, and at a cost that grows with their number."""

from __future__ import annotations

import pytest

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code, owned_files
from casemate.audit.model import Application, Function, Place, Platform
from casemate.audit.privileges import Privileges, privileges_of
from casemate.audit.privileges.deciding import Decided
from casemate.audit.workspace import Workspace

HEAD = """\
service: shop
provider:
  name: aws
  runtime: nodejs22.x
  iam: {role: {statements: [{Effect: Allow, Action: 'sqs:*', Resource: '*'}]}}
functions:
"""
CODE = """\
const { SQSClient, %(command)s } = require("@aws-sdk/client-sqs");
exports.handler = async (event) => new SQSClient({}).send(new %(command)s({ QueueUrl: "a" }));
"""
COMMANDS = ("SendMessageCommand", "ReceiveMessageCommand")


def service(count: int) -> dict[str, str]:
    """Return a service of handlers that send and receive by turns."""
    files = {f"f{n}.js": CODE % {"command": COMMANDS[n % 2]} for n in range(count)}
    lines = [f"  f{n}: {{handler: f{n}.handler}}\n" for n in range(count)]
    return {"serverless.yml": HEAD + "".join(lines), **files}


def shared(count: int) -> list[Privileges]:
    workspace = Workspace.of(service(count))
    (application,) = applications_of(workspace)
    return privileges_of(application, workspace, Code(workspace))


def test_others_that_need_what_a_function_does_not_are_told_in_order() -> None:
    found = shared(5)
    others = {each.function: [one.others for one in each.surplus] for each in found}
    assert others == {
        "F0LambdaFunction": [("F1LambdaFunction", "F3LambdaFunction")],
        "F1LambdaFunction": [("F0LambdaFunction", "F2LambdaFunction", "F4LambdaFunction")],
        "F2LambdaFunction": [("F1LambdaFunction", "F3LambdaFunction")],
        "F3LambdaFunction": [("F0LambdaFunction", "F2LambdaFunction", "F4LambdaFunction")],
        "F4LambdaFunction": [("F1LambdaFunction", "F3LambdaFunction")],
    }


def test_functions_of_one_role_are_asked_a_number_of_times_that_grows_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = 0
    undecided = Decided.undecided

    def counted(self: Decided, action: str) -> bool:
        nonlocal asked
        asked += 1
        return undecided(self, action)

    monkeypatch.setattr(Decided, "undecided", counted)
    shared(8)
    few, asked = asked, 0
    shared(64)
    assert asked <= 12 * few


class Counted(str):
    """A name that counts how often its end is looked at."""

    __slots__ = ()
    looked = 0

    def endswith(self, *given: object) -> bool:
        Counted.looked += 1
        return super().endswith(*given)  # type: ignore[arg-type]


def functions(files: tuple[str, ...], entries: list[str]) -> list[Function]:
    return [
        Function(
            name=f"f{n}",
            platform=Platform.AWS,
            runtime="nodejs22.x",
            handler="a.handler",
            code=".",
            files=files,
            entry=entry,
            place=Place("template.yaml"),
        )
        for n, entry in enumerate(entries)
    ]


def owners(*given: Function) -> list[tuple[str, str]]:
    application = Application(
        name="a",
        importer="sam",
        platform=Platform.AWS,
        place=Place("template.yaml"),
        functions=given,
    )
    return [(file, function.name) for file, function in owned_files(application, (".js",))]


def test_a_file_is_of_the_last_function_whose_handler_is_in_it_or_of_the_first() -> None:
    files = ("a.js", "b.js", "c.py", "d.js")
    first, second, third = functions(files, ["b.js", "a.js", "a.js"])
    (elsewhere,) = functions(("e.js", "d.js"), ["b.js"])  # which is none of its files
    assert owners(first, second, third, elsewhere) == [
        ("a.js", "f2"),
        ("b.js", "f0"),
        ("d.js", "f0"),
        ("e.js", "f0"),
    ]


def test_files_that_functions_have_in_common_are_gone_through_once() -> None:
    names = tuple(Counted(f"f{n}.js") for n in range(100))
    Counted.looked = 0
    assert len(owners(*functions(names, [str(each) for each in names]))) == 100
    assert Counted.looked == 100
