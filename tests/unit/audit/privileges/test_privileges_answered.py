"""What 47 handlers need is as their answers say, which were written before the reader was asked."""

from __future__ import annotations

from functools import cache

import pytest
from tests.unit.audit.privileges.answered_handlers import EVERY, JAVASCRIPT, PYTHON, Answered
from tests.unit.audit.privileges.javascript_privileges import PROGRAMS

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.privileges import Privileges, privileges_of
from casemate.audit.rule import Subject
from casemate.audit.rules.all import RULES
from casemate.audit.rules.examples import function
from casemate.audit.rules.privileges import found_by
from casemate.audit.workspace import Workspace

LEAST = 0.95
"""Of precision and of recall."""


def subject(suffix: str, actions: list[str], code: str, *, more: bool = False) -> Subject:
    granted = ", ".join(f"'{each}'" for each in actions)
    runtime = "python3.13" if suffix == "py" else "nodejs22.x"
    body = (
        f"Runtime: {runtime}\n"
        f"Policies: [{{Statement: [{{Effect: Allow, Action: [{granted}], Resource: '*'}}]}}]"
    )
    properties = f"Handler: app.other\nCodeUri: src/\n{body}".replace("\n", "\n    ")
    other = f"Other:\n  Type: AWS::Serverless::Function\n  Properties:\n    {properties}"
    files = dict(function(body, other if more else ""))
    del files["src/app.py"]
    files[f"src/app.{suffix}"] = code.lstrip("\n")
    workspace = Workspace.of(files)
    [application] = applications_of(workspace)
    return Subject(application, workspace, Code(workspace))


@cache
def privileges(handler: Answered) -> Privileges:
    actions = f"{handler.needed} {handler.beyond}".split()
    about = subject(handler.suffix, actions, handler.code)
    [found] = privileges_of(about.application, about.workspace, about.code)
    return found


@pytest.mark.parametrize("handlers", [PYTHON, JAVASCRIPT], ids=["boto3", "version 3"])
def test_of_what_is_needless_most_is_told_and_little_else(handlers: tuple[Answered, ...]) -> None:
    right = wrong = missed = 0
    for handler in handlers:
        told, beyond = set(privileges(handler).needless), set(handler.beyond.split())
        right, wrong = right + len(told & beyond), wrong + len(told - beyond)
        missed += len(beyond - told)
    assert right / (right + wrong) >= LEAST
    assert right / (right + missed) >= LEAST


def test_there_are_enough_of_them() -> None:
    assert len(EVERY) >= 40
    assert len({(each.name, each.suffix) for each in EVERY}) == len(EVERY)


_ACL = "s3:PutObject", "s3:PutObjectAcl s3:PutObjectTagging"
_PY = "import boto3\ns3 = boto3.client('s3')\n\ndef handler(event, context):\n    "
_JS = "import {{ S3 }} from '@aws-sdk/client-s3'\nconst s3 = new S3({{}})\nexport const handler = async (event) => {{\n{0}\n}}\n"


@pytest.mark.parametrize(
    ("suffix", "code"),
    [
        ("py", "s3.put_object(**event)"),
        ("py", "s3.put_object(Bucket='a', Key='b', **event['more'])"),
        ("py", "s3.upload_file('/tmp/a', 'b', 'c', {'ACL': 'private', 'Tagging': 'a=b'})"),
        ("py", "s3.upload_file('/tmp/a', 'b', 'c', ExtraArgs=event['more'])"),
        ("py", "s3.generate_presigned_post('a', 'b', event['fields'])"),
        ("py", "s3.generate_presigned_post('a', 'b', Conditions=[{'acl': 'private'}])"),
        (
            "py",
            "args = dict(Bucket='a', Key='b')\n    args.update(event)\n    s3.put_object(**args)",
        ),
        ("py", "s3.put_object(Bucket='a', Key='b', Tagging='a=b', GrantRead='id=1')"),
        ("mjs", "await s3.putObject(event)"),
        ("mjs", "await s3.putObject({ Bucket: 'a', Key: 'b', ...event.more })"),
        ("mjs", "const p = { Bucket: 'a' }; Object.assign(p, event); await s3.putObject(p)"),
        ("mjs", "const p = { Bucket: 'a' }; p[event.name] = 'x'; await s3.putObject(p)"),
        ("mjs", "await s3.putObject({ Bucket: 'a', Key: 'b', ACL: 'private', Tagging: 'a=b' })"),
        (
            "mjs",
            "const p = {}; if (event.a) { p.ACL = 'private'; p.Tagging = 'a' }\nawait s3.putObject(p)",
        ),
    ],
)
def test_what_arguments_may_ask_for_is_not_needless(suffix: str, code: str) -> None:
    whole = _PY + code if suffix == "py" else _JS.format(code)
    assert privileges(Answered("", suffix, *_ACL, whole)).needless == ()


def test_what_no_argument_asks_for_is_needless() -> None:
    for suffix, code in [
        ("py", _PY + "s3.put_object(Bucket='a', Key='b', Body=event['x'])"),
        ("mjs", _JS.format("await s3.putObject({ Bucket: 'a', Key: event.key })")),
    ]:
        found = privileges(Answered("", suffix, *_ACL, code)).needless
        assert set(found) == set(_ACL[1].split())


def test_reading_for_data_and_for_rights_at_once_tells_the_same_of_both() -> None:
    programs = [
        *((each.suffix, f"{each.needed} {each.beyond}", each.code) for each in JAVASCRIPT),
        *((each.suffix, each.granted, each.code) for each in PROGRAMS if not each.files),
    ]
    flows = [rule for rule in RULES if rule.id.startswith("DF-")]
    for suffix, granted, code in programs:
        about = subject(suffix, granted.split(), code)
        alone = privileges_of(about.application, about.workspace, about.code)
        apart = [list(rule.findings(about)) for rule in flows]
        again = subject(suffix, granted.split(), code)
        assert found_by(again) == tuple(alone), code
        assert [list(rule.findings(again)) for rule in flows] == apart, code


def test_handlers_in_one_file_keep_their_rights_apart() -> None:
    code = (
        "import { S3 } from '@aws-sdk/client-s3'\nconst s3 = new S3({})\n"
        "export const handler = async () => s3.getObject({ Bucket: 'a', Key: 'b' })\n"
        "export const other = async () => s3.deleteObject({ Bucket: 'a', Key: 'b' })\n"
    )
    grants = ["s3:GetObject", "s3:DeleteObject"]
    about = subject("mjs", grants, code, more=True)
    found = {each.function: set(each.needless) for each in found_by(about)}
    assert found == {"Thing": {"s3:DeleteObject"}, "Other": {"s3:GetObject"}}
