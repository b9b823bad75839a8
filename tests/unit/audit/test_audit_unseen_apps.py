"""What was told wrongly of repositories not seen before, each beside what must still be told.

Each stands for a verdict that was once wrong: docs/reference/audit-verdicts.md.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.audit.test_audit_ordinary import findings
from tests.unit.audit.test_audit_ordinary_apps import severities

from casemate.audit import audit
from casemate.audit.auditing import applications_of
from casemate.audit.rules.examples import function, javascript, python, resource, workload
from casemate.audit.workspace import Workspace

_GET = "Type: Api\nProperties: {Path: /thing, Method: get}"
_PAGE = "{ statusCode: 200, headers: { 'Content-Type': 'text/html' }, body: `<p>${%s}</p>` }"


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ("...(process.env.NODE_ENV === 'development' && { stack: err.stack })", 0),
        ("...(process.env.TOLD && { stack: err.stack })", 1),
        ("stack: err.stack", 1),
    ],
)
def test_a_trace_behind_the_name_of_a_stage_is_not_told(more: str, found: int) -> None:
    caught = f"return {{ statusCode: 500, body: JSON.stringify({{ id: 1, {more} }}) }}"
    code = f"exports.handler = async (event) => {{ try {{ return 1 }} catch (err) {{ {caught} }} }}"
    assert len(findings(javascript(code), "JS-002")) == found


def _script(body: str, event: str = _GET) -> dict[str, str]:
    files = dict(function("Runtime: nodejs22.x", event=event))
    return {**files, "src/app.js": f"exports.handler = async (event) => {{\n{body}\n}}\n"}


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("event.headers.Host", 0),
        ("event.headers['x-forwarded-host']", 0),
        ("event.multiValueHeaders.Accept[0]", 0),
        ("event.headers.Referer", 1),
        ("event.headers.cookie", 1),
        ("event.queryStringParameters.Host", 1),
    ],
)
def test_no_page_of_others_makes_a_browser_send_a_header(part: str, found: int) -> None:
    assert len(findings(_script("return " + _PAGE % part), "DF-013")) == found


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("event['headers']['Host']", 0),
        ("event['headers'].get('User-Agent', '')", 0),
        ("event['headers']['referer']", 1),
        ("event['queryStringParameters']['host']", 1),
    ],
)
def test_no_page_of_others_makes_a_browser_send_a_header_to_python(part: str, found: int) -> None:
    code = (
        "def handler(event, context):\n"
        "    return {'statusCode': 200, 'headers': {'Content-Type': 'text/html'},\n"
        f"            'body': '<p>' + {part} + '</p>'}}\n"
    )
    assert len(findings(python(code), "DF-013")) == found


_BALANCER = """
Group:
  Type: AWS::ElasticLoadBalancingV2::TargetGroup
  Properties: {TargetType: lambda, Targets: [{Id: !GetAtt Thing.Arn}]}
"""


@pytest.mark.parametrize("name", ["Host", "host"])
def test_an_api_answers_to_its_own_names_alone(name: str) -> None:
    fetch = f"return await fetch(`https://${{event.headers.{name}}}/a`)"
    assert severities(_script(fetch), "DF-011") == []
    assert severities(_script(fetch.replace(name, "origin")), "DF-011") != []
    balanced = dict(function("Runtime: nodejs22.x", _BALANCER))
    balanced["src/app.js"] = f"exports.handler = async (event) => {{ {fetch} }}\n"
    assert severities(balanced, "DF-011") != []


_ADMIN = "Type: Api\nProperties: {Path: '/admin/db', Method: get}"
_CHECKED = "if (event.headers['x-key'] !== adminKey) return null"


@pytest.mark.parametrize(
    ("routed", "check", "severity"),
    [
        ("if (event.path.includes('/admin/')) return adminHandler(event)", _CHECKED, "medium"),
        ("if (event.path === '/admin/db') return adminHandler(event)", _CHECKED, "medium"),
        ("if (event.path === '/admin/db') return adminHandler(event)", "", "high"),
        ("if (event.path === '/other') return adminHandler(event)", _CHECKED, "high"),
        (
            "if (event.path === '/admin/db') return open(event)\n"
            "  if (event.path === '/users') return adminHandler(event)",
            _CHECKED,
            "high",
        ),
    ],
)
def test_what_serves_a_path_may_look_at_who_calls(routed: str, check: str, severity: str) -> None:
    files = _script(f"  {routed}\n  return null", _ADMIN)
    files["src/app.js"] = (
        "import { handler as adminHandler } from './handlers/admin'\n" + files["src/app.js"]
    )
    files["src/handlers/admin.js"] = (
        f"export const handler = async (event) => {{\n  {check}\n  return 1\n}}\n"
    )
    [found] = findings(files, "API-003")
    assert found.severity.value == severity


@pytest.mark.parametrize(
    ("check", "severity"), [("require_api_key(event)", "medium"), ("", "high")]
)
def test_what_serves_a_path_in_python_may_look_at_who_calls(check: str, severity: str) -> None:
    files = dict(
        function(
            event=_ADMIN,
            code="from inner.admin import show as shown\n\n\ndef handler(event, context):\n"
            "    if event['path'].startswith('/admin'):\n        return shown(event)\n",
        )
    )
    files["src/inner/admin.py"] = f"def show(event):\n    {check}\n    return {{}}\n"
    [found] = findings(files, "API-003")
    assert found.severity.value == severity


_TABLE = (
    "Resources:\n  Kept:\n    Type: AWS::S3::Bucket\n    Properties: {BucketName: !Ref Named}\n"
)
_SERVICE = (
    "service: shop\nprovider: {name: aws, runtime: nodejs22.x}\n"
    "functions: {a: {handler: a.handler}}\nresources:\n"
)
_NAMED = "  - Resources: {Named: {Type: 'AWS::SQS::Queue'}}\n"


@pytest.mark.parametrize(
    ("taken", "alone"),
    [
        ("  - ${file(parts/kept.yml)}\n", False),
        ("  - ${file(./parts/kept.yml)}\n", False),
        ("  - ${file(parts/kept.yml):Outputs}\n", True),
        ("", True),
    ],
)
def test_a_part_of_a_service_is_no_template_by_itself(taken: str, alone: bool) -> None:
    files = {"serverless.yml": _SERVICE + taken + _NAMED, "parts/kept.yml": _TABLE}
    workspace = Workspace.of({**files, "a.js": "exports.handler = async () => 1\n"})
    names = [each.name for each in applications_of(workspace)]
    assert names == (["parts/kept.yml", "shop"] if alone else ["shop"])


_NOBODY = "securityContext: {runAsNonRoot: true, runAsUser: 65534}"
_EXPORTS = """
hostPID: true
volumes:
  - name: host
    hostPath: {path: /}
"""


@pytest.mark.parametrize(
    ("context", "mounted", "severities_"),
    [
        (_NOBODY, "readOnly: true", ["medium", "medium"]),
        (_NOBODY, "readOnly: false", ["critical", "medium"]),
        ("securityContext: {runAsUser: 0}", "readOnly: true", ["high", "high"]),
        ("securityContext: {runAsNonRoot: true, runAsUser: 0}", "readOnly: true", ["high"] * 2),
        (_NOBODY[:-1] + ", capabilities: {add: [SYS_PTRACE]}}", "readOnly: true", ["high"] * 2),
        (_NOBODY[:-1] + ", privileged: true}", "readOnly: true", ["high"] * 2),
    ],
)
def test_nobody_of_the_machine_reads_what_everybody_may(
    context: str, mounted: str, severities_: list[str]
) -> None:
    mounts = f"\nvolumeMounts: [{{name: host, mountPath: /host, {mounted}}}]"
    files = dict(workload(context + mounts, pod=_EXPORTS))
    assert [severities(files, rule)[0] for rule in ("KUB-003", "KUB-005")] == severities_


_V3 = (
    "const { S3Client, GetObjectCommand } = require('@aws-sdk/client-s3')\n"
    "const { getSignedUrl } = require('@aws-sdk/s3-request-presigner')\n"
    "const { createPresignedPost } = require('@aws-sdk/s3-presigned-post')\n"
    "const AWS = require('aws-sdk')\nconst s3 = new AWS.S3()\nconst client = new S3Client({})\n"
)
_NAMED_BY = "const q = event.queryStringParameters\n"


@pytest.mark.parametrize(
    "call",
    [
        "getSignedUrl(client, new GetObjectCommand({ Bucket: 'b', Key: KEY }), { expiresIn: 60 })",
        "createPresignedPost(client, { Bucket: 'b', Key: KEY })",
        "s3.getSignedUrl('getObject', { Bucket: 'b', Key: KEY })",
        "s3.getSignedUrlPromise('putObject', { Bucket: 'b', Key: KEY })",
        "s3.createPresignedPost({ Bucket: 'b', Fields: { key: KEY } })",
    ],
)
@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("q.key", ["medium"]),
        ("`${q.key}.png`", ["medium"]),
        ("`uploads/${q.key}`", []),
        ("`${event.requestContext.authorizer.claims.sub}/${q.key}`", []),
        ("'a.png'", []),
    ],
)
def test_an_address_for_any_object_is_told(call: str, key: str, found: list[str]) -> None:
    files = _script(_NAMED_BY + "return await " + call.replace("KEY", key))
    files["src/app.js"] = _V3 + files["src/app.js"]
    assert severities(files, "DF-024") == found


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("q['key']", ["medium"]),
        ("q['key'] + '.png'", ["medium"]),
        ("f\"uploads/{q['key']}\"", []),
        ("str(uuid.uuid4()) + q['key']", []),
        ("event['requestContext']['authorizer']['claims']['sub'] + '/' + q['key']", []),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        "generate_presigned_url('put_object', Params={'Bucket': 'b', 'Key': KEY}, ExpiresIn=60)",
        "generate_presigned_url(ClientMethod='get_object', Params={'Bucket': 'b', 'Key': KEY})",
        "generate_presigned_post('b', KEY)",
        "generate_presigned_post(Bucket='b', Key=KEY)",
    ],
)
def test_an_address_for_any_object_is_told_in_python(call: str, key: str, found: list[str]) -> None:
    code = (
        "import uuid\n\nimport boto3\n\ns3 = boto3.client('s3')\n\n\n"
        "def handler(event, context):\n    q = event['queryStringParameters']\n"
        f"    return s3.{call.replace('KEY', key)}\n"
    )
    assert severities(dict(python(code)), "DF-024") == found


def test_an_address_for_what_was_compared_or_came_with_a_notification_is_not_told() -> None:
    head = "import boto3\n\ns3 = boto3.client('s3')\n\n\ndef handler(event, context):\n"
    sign = "    return s3.generate_presigned_post('b', key)\n"
    compared = (
        "    key = event['queryStringParameters']['key']\n"
        "    if not key.startswith('public/'):\n        return None\n"
    )
    assert severities(dict(python(head + compared + sign)), "DF-024") == []
    nothing = compared.replace("'public/'", "'/'")
    assert severities(dict(python(head + nothing + sign)), "DF-024") == ["medium"]
    script = _script(
        "const key = event.queryStringParameters.key\n"
        "if (!key.startsWith(`${event.requestContext.authorizer.claims.sub}/`)) return null\n"
        "return s3.getSignedUrlPromise('getObject', { Bucket: 'b', Key: key })"
    )
    assert severities({**script, "src/app.js": _V3 + script["src/app.js"]}, "DF-024") == []
    told_ = "    key = event['Records'][0]['s3']['object']['key']\n"
    queue = "Type: SQS\nProperties: {Queue: 'arn:aws:sqs:eu-west-1:123456789012:q'}"
    assert severities(dict(function(event=queue, code=head + told_ + sign)), "DF-024") == []


@pytest.mark.parametrize(
    ("parser", "found"),
    [
        ("app.use(express.json())", []),
        ("app.use(express.json({ limit: '1mb' }))", []),
        ("app.use(bodyParser.json())", []),
        ("app.use(express.json({ type: '*/*' }))", ["high"]),
        ("app.use(express.json())\napp.use(express.urlencoded({ extended: true }))", ["high"]),
        ("app.use(express.text())", ["high"]),
        ("", ["high"]),
    ],
)
def test_no_page_of_others_sends_json_to_express(parser: str, found: list[str]) -> None:
    code = (
        "const express = require('express')\nconst bodyParser = require('body-parser')\n"
        f"const app = express()\n{parser}\n"
        "app.post('/a', (req, res) => { res.send('<p>' + req.body.name + '</p>') })\n"
    )
    assert severities({"app.js": code}, "DF-013") == found


_INNER = (
    "service: shop\nprovider: {name: aws, runtime: nodejs22.x}\nfunctions:\n"
    "  a: {handler: src/admin/list.handler, events: [{httpApi: {path: /admin/a, method: GET}}]}\n"
)
_OF_ADMINS = (
    "import { withAuth } from '../auth.js'\nasync function list(event) { return 1 }\n"
    "export const handler = withAuth(['admin'], list)\n"
)


def test_code_that_is_copied_beside_a_service_is_looked_for_in_one_folder_alone() -> None:
    files = {"infra/serverless.yml": _INNER, "backend/src/admin/list.ts": _OF_ADMINS}
    assert severities(files, "API-003") == ["medium"]
    open_ = _OF_ADMINS.replace("withAuth(['admin'], list)", "list")
    assert severities({**files, "backend/src/admin/list.ts": open_}, "API-003") == ["high"]
    assert severities({**files, "other/src/admin/list.ts": open_}, "API-003") == ["high"]


@pytest.mark.parametrize(("second", "severity"), [(_OF_ADMINS, "medium"), ("", "high")])
def test_modules_that_a_handler_loads_may_look_at_who_calls(second: str, severity: str) -> None:
    files = _script(
        "  const served = event.n ? await import('./list.js') : await import('./add.js')\n"
        "  return served.handler(event)",
        _ADMIN,
    )
    files |= {"src/list.ts": _OF_ADMINS, "src/add.ts": second or "export const handler = () => 1\n"}
    assert severities(files, "API-003") == [severity]


def test_inner_routes_of_one_template_are_told_once(tmp_path: Path) -> None:
    routes = _INNER + _INNER.rpartition("functions:\n")[2].replace("  a:", "  b:")
    (tmp_path / "serverless.yml").write_text(routes.replace("/admin/a", "/admin/b", 1))
    [told_] = [each for each in audit(tmp_path).findings if each.rule == "API-003"]
    assert len(told_.also) == 1


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ('{"accessToken": "", "templateName": "otp"}', []),
        ('{"accessToken": "", "apiKey": "k-12345678"}', ["high"]),
        ('{"accessToken": "t-12345678", "templateName": ""}', ["high"]),
        ('{"user": "shop", "pin": "12345678"}', ["high"]),
    ],
)
def test_a_secret_whose_token_is_empty_is_filled_in_later(value: str, found: list[str]) -> None:
    files = resource("AWS::SecretsManager::Secret", f"SecretString: '{value}'")
    assert severities(dict(files), "DATA-063") == found


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("notify(task=1, env=os.environ)", 0),
        ("notify(dict(os.environ))", 0),
        ("dict(os.environ)", 1),
        ("{'statusCode': 200, 'body': json.dumps(dict(os.environ))}", 1),
        ("make_response(str(os.environ))", 1),
    ],
)
def test_an_environment_that_is_given_on_is_not_answered(answer: str, found: int) -> None:
    code = f"import json\nimport os\n\n\ndef handler(event, context):\n    return {answer}\n"
    assert len(findings(python(code), "PY-005")) == found


@pytest.mark.parametrize(("asked", "severity"), [(".get('is_admin')", "medium"), ("", "high")])
def test_a_function_that_is_given_the_event_may_look_at_who_calls(
    asked: str, severity: str
) -> None:
    code = (
        "def shown(event, *, load):\n    account = load(event)\n"
        f"    if not account{asked}:\n        return {{}}\n    return account\n\n\n"
        "def handler(event, context):\n    return shown(event, load=dict)\n"
    )
    [found] = findings(function(event=_ADMIN, code=code), "API-003")
    assert found.severity.value == severity


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("process.env.JWT_SECRET || 'default-secret'", ["medium"]),
        ("process.env.JWT_SECRET ?? 'default-secret'", ["medium"]),
        ("process.env.JWT_SECRET", []),
        ("process.env.JWT_SECRET || ''", []),
        ("given.secret || 'default-secret'", []),
        ("'default-secret'", ["high"]),
    ],
)
def test_a_key_that_signs_where_none_is_set_is_told(key: str, found: list[str]) -> None:
    code = (
        f"const jwt = require('jsonwebtoken')\nconst KEY = {key}\n"
        "exports.handler = async (event) => jwt.sign({ id: 1 }, KEY)\n"
    )
    assert severities(dict(javascript(code)), "JS-018") == found


def _plan(kind: str, **values: object) -> dict[str, str]:
    one = {"address": f"{kind}.a", "mode": "managed", "type": kind, "name": "a", "values": values}
    # One function, for a plan without any is no application of this kind.
    made = {"function_name": "f", "runtime": "python3.13", "handler": "app.handler"}
    f = {"address": "aws_lambda_function.f", "mode": "managed", "type": "aws_lambda_function"}
    other = {**f, "name": "f", "values": made}
    planned = {"root_module": {"resources": [one, other]}}
    return {"plan.json": json.dumps({"terraform_version": "1.9.0", "planned_values": planned})}


_ANYBODY = json.dumps(
    {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "es:*", "Resource": "*"}]}
)
_SSH = {"from_port": 22, "to_port": 22}


@pytest.mark.parametrize(
    ("kind", "wrong", "right", "rule"),
    [
        (
            "aws_security_group_rule",
            {**_SSH, "type": "ingress", "protocol": "tcp", "cidr_blocks": ["0.0.0.0/0"]},
            {**_SSH, "type": "egress", "protocol": "tcp", "cidr_blocks": ["0.0.0.0/0"]},
            "DATA-080",
        ),
        (
            "aws_vpc_security_group_ingress_rule",
            {**_SSH, "ip_protocol": "tcp", "cidr_ipv4": "0.0.0.0/0"},
            {**_SSH, "ip_protocol": "tcp", "cidr_ipv4": "10.0.0.0/8"},
            "DATA-080",
        ),
        (
            "aws_docdb_cluster",
            {"master_password": "hunter2-and-more"},
            {"master_password": None},
            "DATA-053",
        ),
        (
            "aws_redshift_cluster",
            {"publicly_accessible": True},
            {"publicly_accessible": False},
            "DATA-050",
        ),
        ("aws_elasticsearch_domain", {"access_policies": _ANYBODY}, {}, "DATA-072"),
        ("aws_opensearch_domain", {"access_policies": _ANYBODY}, {}, "DATA-072"),
    ],
)
def test_what_a_plan_of_terraform_declares_is_judged(
    kind: str, wrong: dict[str, object], right: dict[str, object], rule: str
) -> None:
    assert len(severities(_plan(kind, **wrong), rule)) == 1
    assert severities(_plan(kind, **right), rule) == []
