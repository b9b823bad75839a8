"""What whole repositories of others were told wrongly, each beside what must still be told.

Each stands for a verdict that was once wrong: docs/reference/audit-verdicts.md.
"""

from __future__ import annotations

from time import thread_time

import pytest
from tests.unit.audit.test_audit_ordinary import findings

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.flow import Entry, analyse, discover
from casemate.audit.importers.source_code import read_code
from casemate.audit.javascript import analyse as analyse_scripts
from casemate.audit.javascript import discover as discover_scripts
from casemate.audit.javascript import parse
from casemate.audit.rule import Subject
from casemate.audit.rules.all import RULES
from casemate.audit.rules.examples import javascript, python, resource
from casemate.audit.workspace import Workspace


def severities(files: dict[str, str], rule: str) -> list[str]:
    workspace = Workspace.of(files)
    code = Code(workspace)
    [checked] = [each for each in RULES if each.id == rule]
    return [
        finding.severity.value
        for found in applications_of(workspace)
        for finding in checked.findings(Subject(found, workspace, code))
    ]


_READS = "    return open('/tmp/' + n).read()\n"


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("n = p[p.rfind('/') + 1:]", []),
        ("n = p.rsplit('/', 1)[-1]", []),
        ("n = p.rpartition('/')[2]", []),
        ("_, _, n = p.rpartition('/')", []),
        ("n = p.partition('/')[0]", []),
        ("n = p.split('/')[-1].split('.')[0]", []),
        ("n = p[p.find('/') + 1:]", ["path"]),
        ("n = p[q.rfind('/') + 1:]", ["path"]),
        ("n = p[:p.rfind('/') + 1]", ["path"]),
        ("n = p.rsplit('/', 1)[0]", ["path"]),
        ("n = p.rpartition('/')[0]", ["path"]),
        ("n = p.partition('/')[-1]", ["path"]),
        ("n = p.removeprefix('/')", ["path"]),
    ],
)
def test_the_last_part_of_a_path_chooses_no_other_folder(part: str, found: list[str]) -> None:
    head = "def handler(event, context):\n    q = event['body']\n    p = event['path']\n"
    files = {"app.py": f"{head}    p = event['queryStringParameters']['p']\n    {part}\n{_READS}"}
    assert [each.weakness for each in analyse(files, discover(files)).flows] == found


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("x.substring(x.lastIndexOf('/') + 1)", []),
        ("x.slice(x.lastIndexOf('/') + 1).split('.')[0]", []),
        ("event.body.substr(event.body.lastIndexOf('/') + 1)", []),
        ("x.substr(y.lastIndexOf('/') + 1)", ["path"]),
        ("x.slice(x.indexOf('/') + 1)", ["path"]),
        ("x.slice(0, x.lastIndexOf('/') + 1)", ["path"]),
        ("x.slice(x.lastIndexOf('/') - 1)", ["path"]),
    ],
)
def test_the_last_part_of_a_path_in_javascript(part: str, found: list[str]) -> None:
    code = (
        "exports.handler = async (event) => { const x = event.body; const y = event.path;"
        f" const n = {part}; return require('fs').readFileSync('/data/' + n); }};"
    )
    entries = [Entry(path="a.js", name="handler")]
    flows = analyse_scripts({"a.js": parse("a.js", code)}, entries).flows
    assert [each.weakness for each in flows] == found


_ROUTES = """const express = require('express'); const { z } = require('zod');
const m = require('mongoose'); const U = m.model('U'); const app = express();
const s = z.object({ id: z.string(), any: z.any() }); const o = z.object({ query: s });
const theirs = require('@me/schemas');
"""
_PARSES = (
    "const v = (schema) => (req, res, next) => { try { req.query = schema.parse(req.query); next() }"
    " catch { throw new Error('no') } };"
)
_ASKS = (
    "const v = (schema) => (req, res, next) => { const r = schema.safeParse(req.query);"
    " if (!r.success) return res.status(400).json({}); next() };"
)
_AWAITS = (
    "const v = (schema) => async (req, res, next) => { try { await schema.parseAsync(req.query);"
    " return next() } catch (e) { return next(%s) } };"
)
_OBJECT = (
    "const v = (schema) => (req, res, next) => { schema.parse({ query: req.query }); next() };"
)


@pytest.mark.parametrize(
    ("guard", "given", "field", "found"),
    [
        ("", "", "id", ["high"]),
        (_PARSES, "v(s), ", "id", []),
        (_ASKS, "v(s), ", "id", []),
        (_AWAITS % "e", "v(s), ", "id", []),
        (_OBJECT, "v(o), ", "id", []),
        (_PARSES, "v(theirs.s), ", "id", ["medium"]),
        (_PARSES, "v(s), ", "any", ["high"]),
        (_PARSES, "v(s), ", "other", ["high"]),
        (_PARSES, "", "id", ["high"]),
        (_OBJECT, "v(o), ", "any", ["high"]),
        (_AWAITS % "", "v(s), ", "id", ["high"]),
        (_ASKS.replace("return res.status(400).json({})", "log()"), "v(s), ", "id", ["high"]),
        (_PARSES.replace("req.query", "req.body"), "v(s), ", "id", ["high"]),
        ("const v = (req, res, next) => { JSON.parse(req.query); next() };", "v, ", "id", ["high"]),
    ],
)
def test_a_route_whose_request_a_schema_has_let_through(
    guard: str, given: str, field: str, found: list[str]
) -> None:
    code = (
        f"{_ROUTES}{guard}\napp.get('/x', {given}(req, res) => {{"
        f" res.json(U.find({{ a: req.query.{field} }})) }});\n"
        "exports.handler = require('serverless-http')(app);"
    )
    flows = analyse_scripts({"a.js": parse("a.js", code)}, discover_scripts({"a.js": code})).flows
    assert [each.confidence for each in flows] == found


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("event['uri']", "medium"),
        ("event['Records'][0]['body']", "medium"),
        ("event['queryStringParameters']['uri']", "high"),
        ("event['body']", "high"),
        ("event", "high"),
    ],
)
def test_an_event_without_a_manifest_that_no_http_api_sends(event: str, expected: str) -> None:
    code = f"import requests\ndef handler(event, context):\n    return requests.get({event}).text\n"
    assert severities({"app.py": code}, "DF-011") == [expected]


_JWT = "import jwt\n\n\ndef handler(event, context):\n    "
_UNSIGNED = f"{_JWT}return jwt.decode(event['t'], options={{'verify_signature': False}})\n"
_SERVERLESS = """service: a
provider: {{name: aws, runtime: python3.13}}
functions:
  a:
    handler: app.handler
    events:
      - http: {{path: a, method: any{}}}
"""


@pytest.mark.parametrize(
    ("authorizer", "expected"),
    [
        (", authorizer: {type: COGNITO_USER_POOLS, arn: 'arn:aws:cognito-idp:x'}", "medium"),
        ("", "high"),
    ],
)
def test_an_authorizer_has_looked_at_a_token_before_the_code(
    authorizer: str, expected: str
) -> None:
    files = {"serverless.yml": _SERVERLESS.format(authorizer), "app.py": _UNSIGNED}
    assert severities(files, "PY-014") == [expected]


_SIGNS = "import jwt\n\ndef made():\n    return jwt.encode({'a': 1}, 'hunter2-key')\n"


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("tests.py", "", []),
        ("test_utils/tokens.py", "", []),
        ("tokens.py", "", ["medium"]),
        ("tokens.py", "import tokens\n", ["high"]),
    ],
)
def test_a_key_in_tests_signs_no_tokens_of_users(name: str, head: str, expected: list[str]) -> None:
    files = {**python(f"{head}def handler(event, context):\n    return 1\n"), f"src/{name}": _SIGNS}
    assert severities(files, "SEC-010") == expected


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("settings.mockUser ? jwt.sign({}, 'mock-token') : null", 0),
        ("MOCK_USER && jwt.sign({}, 'mock-token')", 0),
        ("settings.mockUser ? null : jwt.sign({}, 'mock-token')", 1),
        ("!settings.mockUser ? jwt.sign({}, 'mock-token') : null", 1),
        ("MOCK_USER || jwt.sign({}, 'mock-token')", 1),
        ("settings.hammock ? jwt.sign({}, 'mock-token') : null", 1),
        ("jwt.sign({}, 'mock-token')", 1),
    ],
)
def test_a_key_for_stand_ins_alone_signs_nothing_real(condition: str, found: int) -> None:
    code = f"const jwt = require('jsonwebtoken');\nexports.handler = async () => {condition};\n"
    files = dict(javascript(code))
    told = [len(findings(files, rule)) for rule in ("JS-018", "JS-012")]
    assert told == [found, 0]  # one key is told once


_OPEN = "SecurityGroupIngress: [{IpProtocol: tcp, FromPort: 22, ToPort: 22, CidrIp: 0.0.0.0/0}]"
_TEMPLATE = resource("AWS::EC2::SecurityGroup", _OPEN)["template.yaml"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("src/test/resources/expected.json", "medium"),
        ("tests/integration/template.yaml", "medium"),
        ("a/__snapshots__/b.template.json", "medium"),
        ("test/template.yaml", "high"),
        ("stages/test/template.yaml", "high"),
        ("latests/template.yaml", "high"),
    ],
)
def test_a_template_of_tests_is_deployed_by_nobody(name: str, expected: str) -> None:
    files = {name: _TEMPLATE, "src/app.py": "def handler(event, context):\n    return 1\n"}
    assert severities(files, "DATA-080") == [expected]


_PROGRAM = """import argparse
import os


def main():
    print(os.environ)


if __name__ == "__main__":
    argparse.ArgumentParser().parse_args()
    main()
"""


@pytest.mark.parametrize(
    ("beside", "program", "expected"),
    [
        ("def handler(event, context):\n    return 1\n", _PROGRAM, ["medium"]),
        ("import pack\ndef handler(event, context):\n    return 1\n", _PROGRAM, ["high"]),
        (
            "def handler(event, context):\n    return 1\n",
            f"{_PROGRAM}def handler(event, context):\n    return main()\n",
            ["high"],
        ),
        (
            "def handler(event, context):\n    return 1\n",
            "import os\nprint(os.environ)\n",
            ["high"],
        ),
    ],
)
def test_a_program_that_people_start_is_no_function(
    beside: str, program: str, expected: list[str]
) -> None:
    assert severities({"app.py": beside, "pack.py": program}, "PY-004") == expected


_WRITES = "exports.handler = async (event) => {{\n  const x = event.body;\n  {}\n}};\n"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("return require('child_process').execSync('ls ' + x);", "critical"),
        ("return require('child_process').execSync('ls ' + made(x));", "medium"),
    ],
)
def test_a_way_through_an_unknown_call_is_not_grave(code: str, expected: str) -> None:
    head = "const { made } = require('./not-here');\n"
    files = {
        "serverless.yml": _SERVERLESS.format("").replace("python3.13", "nodejs22.x"),
        "app.js": head + _WRITES.format(code),
    }
    assert severities(files, "DF-002") == [expected]


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("list(os.environ.keys())", 0),
        ("sorted(os.environ)", 0),
        ("len(os.environ)", 0),
        ("f'names {list(os.environ.keys())}'", 0),
        ("dict(os.environ)", 1),
        ("list(os.environ.items())", 1),
        ("os.environ", 1),
        ("f'{sorted(os.environ)} {os.environ}'", 1),
    ],
)
def test_names_of_variables_are_no_secrets(told: str, found: int) -> None:
    code = f"import os\ndef handler(event, context):\n    print({told})\n"
    assert len(severities(dict(python(code)), "PY-004")) == found


_UPLOADS = "const up = require('express-fileupload'); app.use(up());"
_STORED = "const up = require('multer')({ dest: '/tmp' }); app.use(up.single('a'));"


@pytest.mark.parametrize(
    ("head", "name", "found"),
    [
        (_UPLOADS, "req.files.a.name", []),
        (_STORED, "req.file.originalname", []),
        ("", "req.files.a.name", ["path"]),
        (_STORED, "req.body.name", ["path"]),
        (_UPLOADS, "req.files.a.mimetype", ["path"]),
    ],
)
def test_the_name_of_an_upload_is_its_last_part(head: str, name: str, found: list[str]) -> None:
    code = (
        f"const express = require('express'); const app = express(); {head}"
        f"app.post('/x', (req, res) => {{ res.send(require('fs').readFileSync('/tmp/' + {name})) }});"
        "exports.handler = require('serverless-http')(app);"
    )
    flows = analyse_scripts({"a.js": parse("a.js", code)}, discover_scripts({"a.js": code})).flows
    assert [each.weakness for each in flows] == found


_ROLE = """apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}
metadata: {{name: reads, labels: {{{labels}}}}}
rules:
- apiGroups: ['']
  resources: [secrets, serviceaccounts/token]
  verbs: [get, create]
- apiGroups: [{group}]
  resources: [things]
  verbs: [get]
"""
_BIND = """---
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}
metadata: {{name: binds}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {of}, name: reads}}
subjects: [{{kind: {who}}}]
"""
_RELEASE = "app.kubernetes.io/version: '1'"


@pytest.mark.parametrize(
    ("labels", "group", "bound", "expected"),
    [
        ("", "shop.example.com", "ClusterRoleBinding", ["high", "high"]),
        (_RELEASE, "shop.example.com", "ClusterRoleBinding", ["medium", "medium"]),
        (_RELEASE, "''", "ClusterRoleBinding", ["high", "high"]),
        (_RELEASE, "apps", "", ["high", "high"]),
        ("app.kubernetes.io/part-of: tekton", "apps", "", ["medium", "medium"]),
        ("", "apps", "RoleBinding", ["medium", "high"]),
        ("", "apps", "", ["high", "high"]),
    ],
)
def test_a_role_of_an_operator_and_one_of_single_namespaces(
    labels: str, group: str, bound: str, expected: list[str]
) -> None:
    text = _ROLE.format(kind="ClusterRole", labels=labels, group=group)
    who = "ServiceAccount, name: a, namespace: b"
    if bound:
        text += _BIND.format(kind=bound, of="ClusterRole", who=who)
    files = {"roles.yaml": text}
    assert [*severities(files, "KUB-032"), *severities(files, "KUB-033")] == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("resources: [configmaps], resourceNames: [version], verbs: [get]", ["low"]),
        ("resources: [configmaps], verbs: [get]", ["critical"]),
        ("resources: [configmaps], resourceNames: [version], verbs: [update]", ["critical"]),
        ("resources: [secrets], resourceNames: [version], verbs: [get]", ["critical"]),
    ],
)
def test_named_settings_that_everybody_reads(rule: str, expected: list[str]) -> None:
    role = _ROLE.format(kind="Role", labels="", group="''").partition("rules:")[0]
    who = "Group, name: system:authenticated"
    text = f"{role}rules: [{{apiGroups: [''], {rule}}}]\n"
    files = {"roles.yaml": text + _BIND.format(kind="RoleBinding", of="Role", who=who)}
    assert severities(files, "KUB-034") == expected


def test_code_of_others_below_a_folder_is_left_out_in_one_walk() -> None:
    python_of = (
        "import functions_framework\n@functions_framework.http\ndef a(request):\n    return 1\n"
    )
    script = "const f = require('firebase-functions');\nexports.a = f.https.onRequest(b);\n"
    files = {f"f{number}/in/index.js": script for number in range(1_500)}
    files |= {"main.py": python_of * 1_500, "f1/other.js": "", "f1/in/tool.py": "", "g/a.py": ""}
    workspace = Workspace.of(files)
    began = thread_time()
    found = {each.name: each for each in read_code(workspace, alone=True)}
    assert thread_time() - began < 3
    kept = set(found["."].functions[0].files)
    assert {"main.py", "f1/other.js", "f1/in/tool.py", "g/a.py"} == kept
    assert set(found["f1/in"].functions[0].files) == {"f1/in/index.js", "f1/in/tool.py"}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("user['password'] == password", 1),
        ("response['Item']['password']['S'] != body['password']", 1),
        ("item.get('password') == password", 1),
        ("row.password == event['password']", 1),
        ("body['password'] == password", 0),
        ("user['password'] == hashed", 0),
        ("os.environ['PASSWORD'] == password", 0),
        ("user['password'] == user['password']", 0),
        ("body['password'] != body['confirm']", 0),
    ],
)
def test_a_password_that_is_kept_as_it_is(line: str, found: int) -> None:
    code = f"def handler(event, context):\n    return {line}\n"
    assert len(severities(dict(python(code)), "PY-015")) == found
