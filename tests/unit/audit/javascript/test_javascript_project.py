"""Modules that the settings of a project name, and files outside of a function's folder."""

from __future__ import annotations

import pytest

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.privileges import Privileges, privileges_of
from casemate.audit.workspace import Workspace

_TEMPLATE = """service: shop
provider:
  name: aws
  runtime: nodejs22.x
  iam:
    role:
      statements:
        - Effect: Allow
          Action: ['dynamodb:PutItem', 'dynamodb:DeleteItem', 'sqs:SendMessage']
          Resource: '*'
functions:
  put:
    handler: src/put.handler
"""
_STORE = """import AWS from 'aws-sdk';
const documents = new AWS.DynamoDB.DocumentClient();
export const store = (item) => documents.put({ TableName: 'T', Item: item }).promise();
"""


def _told(name: str, files: dict[str, str], bring: str = "store") -> Privileges:
    code = f"import {{ {bring} }} from '{name}';\nexport const handler = async (event) => {bring}(event);\n"
    workspace = Workspace.of({"api/serverless.yml": _TEMPLATE, "api/src/put.ts": code, **files})
    [application] = applications_of(workspace)
    [one] = privileges_of(application, workspace, Code(workspace))
    return one


_PATHS = """{
  // of the compiler
  "extends": "./base", /* and more */
  "compilerOptions": { "baseUrl": ".", "paths": { "@libs/*": ["src/libs/*"], "store": ["src/libs/store"], }, },
}
"""


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("@libs/store", {"api/tsconfig.json": _PATHS, "api/src/libs/store.ts": _STORE}),
        ("@libs/store", {"api/tsconfig.paths.json": _PATHS, "api/src/libs/store/index.ts": _STORE}),
        ("@libs/store", {"jsconfig.json": _PATHS.replace("src", "api/src"), "api/src/libs/store.js": _STORE}),
        ("store", {"api/tsconfig.json": _PATHS, "api/src/libs/store.ts": _STORE}),
        ("lib/store", {"api/tsconfig.json": '{"compilerOptions": {"baseUrl": "src"}}', "api/src/lib/store.ts": _STORE}),
        ("@shop/db", {"db/package.json": '{"name": "@shop/db", "main": "dist/index.js"}', "db/src/index.ts": _STORE}),
        ("@shop/db/store", {"db/package.json": '{"name": "@shop/db"}', "db/src/store.ts": _STORE}),
        (
            "db",
            {
                "db/package.json": '{"name": "db"}',
                "db/index.ts": _STORE,
                "api/package.json": '{"dependencies": {"db": "workspace:*"}}',
            },
        ),
        ("../../shared/store", {"shared/store.ts": _STORE}),
    ],
)  # fmt: skip
def test_what_the_project_names_is_followed(name: str, files: dict[str, str]) -> None:
    one = _told(name, files)
    assert one.undecided == ()
    assert [action for action, _ in one.needed] == ["dynamodb:PutItem"]
    assert set(one.needless) == {"dynamodb:DeleteItem", "sqs:SendMessage"}


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("@libs/store", {"api/src/libs/store.ts": _STORE}),
        ("@libs/store", {"api/tsconfig.json": "{ no json", "api/src/libs/store.ts": _STORE}),
        ("db", {"db/package.json": '{"name": "db"}', "db/index.ts": _STORE}),
        ("../../shared/store", {"shared/other.ts": _STORE}),
        ("../../../outside", {}),
        ("./kinds", {"api/src/kinds.d.ts": "export declare function store(item: any): void;"}),
    ],
)
def test_what_is_not_found_stays_undecided(name: str, files: dict[str, str]) -> None:
    one = _told(name, files)
    assert [each.service for each in one.undecided] == ["*"]
    assert one.needless == ()


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("./kinds", {"api/src/kinds.d.ts": "export interface store { a: string }"}),
        ("./page.html", {"api/src/page.html": "<p>"}),
        ("ethers", {}),
        ("@middy/http-cors", {}),
    ],
)
def test_types_texts_and_packages_that_use_nothing_leave_nothing_open(
    name: str, files: dict[str, str]
) -> None:
    assert _told(name, files).undecided == ()


@pytest.mark.parametrize(
    ("name", "services", "needless"),
    [
        ("dynamoose", ["dynamodb"], {"sqs:SendMessage"}),
        ("sqs-consumer", ["sqs"], {"dynamodb:PutItem", "dynamodb:DeleteItem"}),
        ("@graphql-tools/load-files", ["*"], set()),
        ("nobody-knows-this", ["*"], set()),
    ],
)
def test_a_package_leaves_open_what_it_may_use_by_itself(
    name: str, services: list[str], needless: set[str]
) -> None:
    one = _told(name, {})
    assert [each.service for each in one.undecided] == services
    assert set(one.needless) == needless
