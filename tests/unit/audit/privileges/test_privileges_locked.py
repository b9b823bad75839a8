"""Packages that are not known: the lock file says whether they can have a client of AWS."""

from __future__ import annotations

import json

import pytest
from tests.unit.audit.privileges.javascript_privileges import Program
from tests.unit.audit.privileges.test_privileges_javascript import privileges

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.privileges import privileges_of
from casemate.audit.privileges.locked import locked_of
from casemate.audit.rules.examples import function
from casemate.audit.workspace import Workspace

THIRD = {
    "lockfileVersion": 3,
    "packages": {
        "": {"dependencies": {"matcherx": "1", "asker": "1", "peering": "1", "named-s3": "1"}},
        "node_modules/matcherx": {"dependencies": {"inner": "^1"}},
        "node_modules/inner": {"dependencies": {"matcherx": "1"}},
        "node_modules/asker": {"optionalDependencies": {"deeper": "1"}},
        "node_modules/asker/node_modules/deeper": {"dependencies": {"aws-sdk": "2"}},
        "node_modules/aws-sdk": {},
        "node_modules/peering": {"peerDependencies": {"@aws-sdk/client-s3": "3"}},
        "node_modules/named-s3": {},
        "node_modules/storing": {"dependencies": {"dynamoose": "3"}},
    },
}
FIRST = {
    "dependencies": {
        "matcherx": {"version": "1", "requires": {"inner": "1"}},
        "inner": {"version": "1"},
        "asker": {
            "version": "1",
            "requires": {"deeper": "1"},
            "dependencies": {"deeper": {"version": "1", "requires": {"aws-sdk": "2"}}},
        },
    }
}
YARN = """\
# yarn lockfile v1


"@own/inner@^1.0.0", "@own/inner@^1.2.0":
  version "1.2.0"

asker@^1:
  version "1.0.0"
  optionalDependencies:
    "deeper" "^1.0.0"

deeper@^1.0.0:
  version "1.0.0"
  dependencies:
    aws-sdk "^2.0.0"

matcherx@^1.0.0:
  version "1.0.0"
  dependencies:
    "@own/inner" "^1.0.0"
"""
BERRY = """\
__metadata:
  version: 6

"asker@npm:^1.0.0":
  version: 1.0.0
  peerDependencies:
    "@aws-sdk/client-s3": ^3.0.0
  languageName: node

"matcherx@npm:^1.0.0, matcherx@npm:^1.2.0":
  version: 1.2.0
  dependencies:
    inner: "npm:^1.0.0"

"inner@npm:^1.0.0":
  version: 1.0.0
"""
PNPM = """\
lockfileVersion: '6.0'

dependencies:
  matcherx:
    specifier: ^1.0.0
    version: 1.0.0

packages:

  /asker@1.0.0(aws-sdk@2.0.0):
    resolution: {integrity: sha512-a}
    dependencies:
      '@own/deeper': 1.0.0
    dev: false

  /@own/deeper@1.0.0:
    resolution: {integrity: sha512-a}
    peerDependencies:
      aws-sdk: '*'

  /matcherx@1.0.0:
    resolution: {integrity: sha512-a}
    dependencies:
      inner: 1.0.0

  /inner@1.0.0:
    resolution: {integrity: sha512-a}
"""
LOCKS = {
    "package-lock.json": json.dumps(THIRD),
    "npm-shrinkwrap.json": json.dumps(FIRST),
    "yarn.lock": YARN,
    "pnpm-lock.yaml": PNPM,
}


def services(package: str, lock: str, name: str) -> tuple[str, ...] | None:
    workspace = Workspace.of({name: lock, "src/app.js": ""})
    locked = locked_of(Code(workspace), "src")
    assert locked is not None
    return locked.services(package)


@pytest.mark.parametrize(("name", "lock"), [*LOCKS.items(), ("yarn.lock", BERRY)])
def test_a_package_without_a_client_of_aws_below_it_uses_no_right(name: str, lock: str) -> None:
    assert services("matcherx", lock, name) == ()
    assert services("asker", lock, name) is None
    assert services("elsewhere", lock, name) is None


@pytest.mark.parametrize(
    ("package", "expected"),
    [("peering", None), ("named-s3", None), ("storing", ("dynamodb",)), ("aws-sdk", None)],
)
def test_what_names_aws_may_use_it(package: str, expected: tuple[str, ...] | None) -> None:
    assert services(package, json.dumps(THIRD), "package-lock.json") == expected


@pytest.mark.parametrize("lock", ["", "{", "[]", '{"packages": []}', '{"packages": {"a": 1}}'])
@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_that_cannot_be_read_decides_nothing(name: str, lock: str) -> None:
    assert services("matcherx", lock, name) is None


def test_packages_that_need_one_another_end() -> None:
    packages = {
        f"node_modules/p{n}": {"dependencies": {f"p{(n + 1) % 900}": "1"}} for n in range(900)
    }
    assert services("p0", json.dumps({"packages": packages}), "package-lock.json") == ()


@pytest.mark.parametrize(
    ("package", "needless"),
    [("matcherx", "s3:PutObject"), ("asker", ""), ("named-s3", "")],
)
def test_what_is_needless_is_told_where_the_lock_decides(package: str, needless: str) -> None:
    program = Program(
        name="locked",
        code=f"const m = require('{package}');\nexports.handler = async (e) => m(e);\n",
        granted="s3:PutObject",
        needless=needless,
        undecided="" if needless else "*",
        files={"package-lock.json": json.dumps(THIRD)},
    )
    assert set(privileges(program).needless) == set(needless.split())


def test_a_handler_that_sam_builds_is_found() -> None:
    files = dict(
        function(
            "Runtime: nodejs22.x\nHandler: orders.handler\n"
            "Policies: [{Statement: [{Effect: Allow, Action: ['s3:PutObject'], Resource: '*'}]}]"
        )
    )
    files["template.yaml"] = (
        files["template.yaml"]
        .replace(
            "    Properties:\n",
            "    Metadata:\n      BuildMethod: esbuild\n"
            "      BuildProperties: {EntryPoints: [api/orders.ts]}\n    Properties:\n",
            1,
        )
        .replace("      Handler: app.handler\n", "")
    )
    del files["src/app.py"]
    files["src/api/orders.ts"] = "export const handler = async () => ({});\n"
    workspace = Workspace.of(files)
    [application] = applications_of(workspace)
    assert application.functions[0].entry == "src/api/orders.ts", files["template.yaml"]
    [found] = privileges_of(application, workspace, Code(workspace))
    assert found.needless == ("s3:PutObject",)


def test_a_package_at_the_top_of_the_repository_is_found() -> None:
    files = dict(
        function(
            "Policies: [{Statement: [{Effect: Allow, Action: ['s3:PutObject', 's3:GetObject'], "
            "Resource: '*'}]}]",
            code="from orders.kept import keep\n\n\ndef handler(event, context):\n    keep()\n",
        )
    )
    files["orders/kept.py"] = (
        "import boto3\n\n\ndef keep():\n    boto3.client('s3').put_object(Bucket='a', Key='b')\n"
    )
    workspace = Workspace.of(files)
    [application] = applications_of(workspace)
    [found] = privileges_of(application, workspace, Code(workspace))
    assert found.needless == ("s3:GetObject",)


DYNAMO = "const { DynamoDB } = require('aws-sdk');\n"
GRANTED = "dynamodb:GetItem dynamodb:PutItem"


@pytest.mark.parametrize(
    ("exported", "needless"),
    [
        ("export const db = new DynamoDB.DocumentClient();", "dynamodb:PutItem"),
        ("export let db;\nif (process.env.A) { db = new DynamoDB.DocumentClient(); }\n"
         "else { db = new DynamoDB.DocumentClient({}); }", "dynamodb:PutItem"),
        ("let db;\nexport { db };\ndb = new DynamoDB.DocumentClient();", "dynamodb:PutItem"),
        ("let one;\nexport { one as db };\none = new DynamoDB.DocumentClient();",
         "dynamodb:PutItem"),
    ],
)  # fmt: skip
def test_a_name_that_is_exported_before_it_is_given_is_followed(
    exported: str, needless: str
) -> None:
    program = Program(
        name="live",
        code="import { db } from './db';\n"
        "export const handler = async (e) => db.get({ TableName: 't', Key: e }).promise();\n",
        granted=GRANTED,
        needless=needless,
        undecided="",
        files={"db.js": f"import {{ DynamoDB }} from 'aws-sdk';\n{exported}\n"},
    )
    assert set(privileges(program).needless) == set(needless.split())


@pytest.mark.parametrize(
    "head", ["import AWS = require('aws-sdk');", "import * as AWS from 'aws-sdk';"]
)
def test_each_way_of_typescript_to_import_is_followed(head: str) -> None:
    program = Program(
        name="imported",
        code=f"{head}\nconst db = new AWS.DynamoDB.DocumentClient();\n"
        "export const handler = async (e: any) => db.get({ TableName: 't', Key: e }).promise();\n",
        granted=GRANTED,
        needless="dynamodb:PutItem",
        undecided="",
        suffix="ts",
    )
    assert privileges(program).needless == ("dynamodb:PutItem",)


def test_a_file_of_a_layer_is_followed() -> None:
    program = Program(
        name="layered",
        code="const db = require('/opt/nodejs/lib/db');\n"
        "exports.handler = async (e) => db.documents.get({ TableName: 't', Key: e }).promise();\n",
        granted=GRANTED,
        needless="dynamodb:PutItem",
        undecided="",
        files={
            "../layer/nodejs/lib/db/index.js": f"{DYNAMO}"
            "exports.documents = new DynamoDB.DocumentClient();\n"
        },
    )
    files = {name.replace("src/../", ""): text for name, text in program.files.items()}
    found = privileges(
        program._replace(files={f"../{n}".replace("../..", ".."): t for n, t in files.items()})
    )
    assert found.needless == ("dynamodb:PutItem",)


@pytest.mark.parametrize(
    ("package", "needless"),
    [
        ("data-api-client", "secretsmanager:CreateSecret"),
        ("lambda-warmer", "lambda:CreateFunction rds-data:ExecuteStatement "
         "secretsmanager:CreateSecret secretsmanager:GetSecretValue"),
    ],
)  # fmt: skip
def test_of_a_known_package_single_actions_are_needed(package: str, needless: str) -> None:
    granted = (
        "rds-data:ExecuteStatement secretsmanager:GetSecretValue secretsmanager:CreateSecret "
        "lambda:InvokeFunction lambda:CreateFunction"
    )
    program = Program(
        name="known",
        code=f"const m = require('{package}');\nexports.handler = async (e) => m(e);\n",
        granted=granted,
        needless=needless,
        undecided="rds-data" if package.startswith("data") else "",
    )
    expected = {*needless.split()}
    if package.startswith("data"):
        expected |= {"lambda:InvokeFunction", "lambda:CreateFunction"}
    assert set(privileges(program).needless) == expected


@pytest.mark.parametrize(
    ("given", "needless"),
    [
        ("{ Name: 'a' }", "scheduler:TagResource"),
        ("{ Name: 'a', Tags: [{ Key: 'a', Value: 'b' }] }", ""),
        ("e", ""),
    ],
)
def test_what_is_made_with_tags_is_tagged(given: str, needless: str) -> None:
    program = Program(
        name="tagged",
        code="const { SchedulerClient, CreateScheduleGroupCommand: C } = "
        "require('@aws-sdk/client-scheduler');\nconst s = new SchedulerClient({});\n"
        f"exports.handler = async (e) => s.send(new C({given}));\n",
        granted="scheduler:CreateScheduleGroup scheduler:TagResource",
        needless=needless,
        undecided="",
    )
    assert set(privileges(program).needless) == set(needless.split())


@pytest.mark.parametrize(
    ("code", "decided"),
    [
        ("    never_given(event)\n", True),
        ("    exec(event)\n    never_given(event)\n", False),
    ],
)
def test_a_name_that_nothing_gives_ends_the_call(code: str, decided: bool) -> None:
    files = function(
        "Policies: [{Statement: [{Effect: Allow, Action: ['s3:PutObject'], Resource: '*'}]}]",
        code=f"def handler(event, context):\n{code}",
    )
    workspace = Workspace.of(dict(files))
    [application] = applications_of(workspace)
    [found] = privileges_of(application, workspace, Code(workspace))
    assert (found.needless == ("s3:PutObject",)) is decided
