"""What known calls let through, and what is left behind: each with a twin that is told."""

from __future__ import annotations

import pytest

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.finding import Finding
from casemate.audit.rule import Subject
from casemate.audit.rules.all import RULES
from casemate.audit.rules.examples import Files, function, javascript, python, workload
from casemate.audit.workspace import Workspace


def findings(files: Files, rule: str) -> list[Finding]:
    workspace = Workspace.of(dict(files))
    [found] = applications_of(workspace)
    [checked] = [each for each in RULES if each.id == rule]
    return list(checked.findings(Subject(found, workspace, Code(workspace))))


_HTTP = "Type: Api\nProperties: {Path: /thing, Method: post}"


def called(code: str) -> Files:
    """Return a function of Node.js with that code, called over HTTP."""
    files = dict(function("Runtime: nodejs22.x", event=_HTTP))
    del files["src/app.py"]
    return {**files, "src/app.js": code}


_NUMBER = "import json\nimport sqlite3\n\ndef handler(event, context):\n    n = json.loads(event['body'])['n']\n"
_QUERY = "    return sqlite3.connect('x').execute(f'SELECT * FROM t WHERE id = {n}')\n"


@pytest.mark.parametrize(
    ("before", "found"),
    [
        ("", 1),
        ("    int(n)\n", 0),
        ("    row = {'id': int(n)}\n", 0),
        ("    int(n, 36)\n", 1),
        ("    try:\n        int(n)\n    except ValueError:\n        pass\n", 1),
        ("    try:\n        int(n)\n    except ValueError:\n        return 1\n", 0),
        ("    if event['httpMethod'] == 'PUT':\n        int(n)\n", 1),
    ],
)
def test_int_lets_numbers_through_alone(before: str, found: int) -> None:
    assert len(findings(python(_NUMBER + before + _QUERY), "DF-001")) == found


@pytest.mark.parametrize(
    ("made", "found"),
    [
        ("await getSignedUrl(new S3Client({}), new PutObjectCommand({Bucket: 'b', Key: k}))", 0),
        ("new S3().getSignedUrl('putObject', {Bucket: 'b', Key: k})", 0),
        ("sign({url: k, keyPairId: 'p', privateKey: process.env.KEY})", 1),
        ("k", 1),
    ],
)
def test_a_signed_address_of_s3_has_its_host(made: str, found: int) -> None:
    code = (
        "const { S3Client, PutObjectCommand } = require('@aws-sdk/client-s3')\n"
        "const { getSignedUrl } = require('@aws-sdk/s3-request-presigner')\n"
        "const { getSignedUrl: sign } = require('@aws-sdk/cloudfront-signer')\n"
        "const { S3 } = require('aws-sdk')\n"
        "exports.handler = async (event) => {\n  const k = event.queryStringParameters.k\n"
        f"  return fetch({made}, {{ method: 'PUT' }})\n}}\n"
    )
    assert len(findings(called(code), "DF-011")) == found


@pytest.mark.parametrize(
    ("key", "severity"), [("item['key']", "medium"), ("'#' + item['key']", "medium")]
)
def test_names_of_place_holders_bring_no_expression(key: str, severity: str) -> None:
    code = (
        "import json\nimport boto3\n\ntable = boto3.resource('dynamodb').Table('t')\n\n"
        "def handler(event, context):\n    parts, names = [], {}\n"
        "    for item in json.loads(event['body']):\n"
        f"        parts.append(f\"{{{key}}} = :v\")\n        names[{key}] = item['key']\n"
        "    return table.update_item(Key={'id': '1'}, UpdateExpression='SET ' + ', '.join(parts),\n"
        "        ExpressionAttributeNames=NAMES, ExpressionAttributeValues={':v': 1})\n"
    )
    [milder] = findings(python(code.replace("NAMES", "names")), "DF-019")
    [graver] = findings(python(code.replace("NAMES", "{'#a': 'b'}")), "DF-019")
    assert milder.severity.value == severity
    assert graver.severity.rank > milder.severity.rank


_UPDATE = (
    "const { DynamoDBClient } = require('@aws-sdk/client-dynamodb')\n"
    "const { DynamoDBDocumentClient, UpdateCommand } = require('@aws-sdk/lib-dynamodb')\n"
    "const db = DynamoDBDocumentClient.from(new DynamoDBClient({}))\n"
    "exports.handler = async (event) => {\n  const body = JSON.parse(event.body)\n"
    "  const names = {}, parts = []\n  Object.keys(body).forEach((key) => {\n"
    "    parts.push(`#${key} = :v`)\n    names[`#${key}`] = key\n  })\n"
    "  return db.send(new UpdateCommand({ TableName: 't', Key: { id: '1' },\n"
    "    UpdateExpression: 'SET ' + parts.join(', '), ExpressionAttributeNames: NAMES,\n"
    "    ExpressionAttributeValues: { ':v': 1 } }))\n}\n"
)


def test_names_of_place_holders_bring_no_expression_in_javascript() -> None:
    [milder] = findings(called(_UPDATE.replace("NAMES", "names")), "DF-019")
    [graver] = findings(called(_UPDATE.replace("NAMES", "{ '#a': 'b' }")), "DF-019")
    assert milder.severity.value == "medium"
    assert graver.severity.value == "critical"


_OPENS = "def handler(event, context):\n    return open(event['path']).read()\n"


@pytest.mark.parametrize(
    ("other", "found"), [("left/behind.py", 0), ("app.py", 1), ("built/app.py", 1)]
)
def test_a_handler_that_no_function_names_is_called_by_nobody(other: str, found: int) -> None:
    files = {**python("def handler(event, context):\n    return None"), f"src/{other}": _OPENS}
    assert len(findings(files, "DF-009")) == found


def test_routes_are_called_whatever_the_handler_is() -> None:
    code = (
        "import flask\n\napp = flask.Flask(__name__)\n\n@app.route('/a')\ndef a():\n"
        "    return open(flask.request.args['name']).read()\n"
    )
    files = {**python("def handler(event, context):\n    return None"), "src/web.py": code}
    assert len(findings(files, "DF-009")) == 1


_RETURNS = "import os\n\ndef handler(event, context):\n    return {}\n"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("'STAGE' in os.environ and os.environ.get('STAGE') == 'x'", 0),
        ("dict(os.environ)", 1),
        ("('STAGE' in os.environ, os.environ)", 1),
    ],
)
def test_whether_a_variable_is_there_is_not_the_environment(value: str, found: int) -> None:
    assert len(findings(python(_RETURNS.format(value)), "PY-005")) == found


@pytest.mark.parametrize(
    ("record", "link", "found"), [(True, False, 0), (True, True, 1), (False, False, 1)]
)
def test_files_that_pip_installed_are_judged_by_their_version(
    record: bool, link: bool, found: int
) -> None:
    files = {
        **python("def handler(event, context):\n    return None"),
        "src/library/core.py": "import os\n\ndef info():\n    return dict(os.environ)\n",
    }
    if record:
        files["src/library-1.0.dist-info/RECORD"] = "library/core.py,sha256=x,1\n"
    if link:  # it was installed from a folder: it is their own
        files["src/library-1.0.dist-info/direct_url.json"] = "{}"
    assert len(findings(files, "PY-005")) == found


_BASIC = (
    "exports.handler = async (event) => {\n  const parts = event.headers.authorization.split(' ')\n"
    "  const said = Buffer.from(parts[1], 'base64').toString('utf8')\n  AFTER\n}\n"
)


@pytest.mark.parametrize(
    ("after", "found"),
    [
        ("const both = said.split(':'); return JSON.parse(process.env.USERS)[both[0]]", 0),
        ("return process.env.HASH === said", 0),
        ("return JSON.parse(said).sub", 1),
    ],
)
def test_a_user_and_a_password_are_no_claims(after: str, found: int) -> None:
    assert len(findings(javascript(_BASIC.replace("AFTER", after)), "ID-011")) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [("MOCK_SECRET_ACCESS_KEY", 0), ("LOCAL_ONLY_SECRET_KEY", 0), ("b7Qx2LmPz9Wd4RtY6uKe", 1)],
)
def test_capital_words_are_no_key(value: str, found: int) -> None:
    code = (
        "const AWS = require('aws-sdk')\n"
        f"AWS.config.update({{ accessKeyId: 'a', secretAccessKey: '{value}' }})\n"
        "exports.handler = async () => 1\n"
    )
    assert len(findings(javascript(code), "JS-019")) == found


_GOOGLE = "AIzaSyAgJ" + "Ekrc6Gv6Cwp3ANODIzymloPWJMxx"
_ID = "AKIA" + "Y62PKV3GKCXPXEBA"
_KEY = "Cx4Q9rTz/LmPw8Vb2NdK7sYg5HfJ1uEa3RoXi6Wq"


@pytest.mark.parametrize(("rule"), ["SEC-001", "SEC-005", "SEC-006"])
@pytest.mark.parametrize(("other", "severity"), [("''", "medium"), (_KEY, "high")])
def test_the_id_of_a_key_opens_nothing_alone(rule: str, other: str, severity: str) -> None:
    values = f"{{ACCESS_KEY: {_ID}, OTHER_VALUE: {other}}}"
    found = findings(function(f"Environment: {{Variables: {values}}}"), rule)
    assert severity in [
        each.severity.value for each in found if "ACCESS_KEY" in each.text or rule == "SEC-001"
    ]


@pytest.mark.parametrize(
    ("check", "severity"),
    [
        ("if (rows[0].password === JSON.parse(event.body).password) return rows", "medium"),
        ("if (event.headers['x-key'] !== config.apiKey) return null", "medium"),
        ("const password = event.password", "high"),
    ],
)
def test_a_handler_that_compares_a_password_looks_at_who_calls(check: str, severity: str) -> None:
    files = dict(
        function(
            "Runtime: nodejs22.x", event="Type: Api\nProperties: {Path: /admin/a, Method: get}"
        )
    )
    code = f"exports.handler = async (event) => {{\n  {check}\n}}\n"
    [found] = findings({**files, "src/app.js": code}, "API-003")
    assert found.severity.value == severity


_BUNDLE = """
"use strict";
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);
var app_exports = {};
__export(app_exports, { handler: () => handler });
module.exports = __toCommonJS(app_exports);
var import_child_process = require("child_process");
"""


@pytest.mark.parametrize(
    "form", ["var handler = async (event) =>", "async function handler(event)"]
)
@pytest.mark.parametrize(
    ("does", "found"),
    [
        ("(0, import_child_process.execSync)('ls ' + event.queryStringParameters.n)", 1),
        ("await (0, import_child_process.exec)('ls ' + event.queryStringParameters.n)", 1),
        ("(0, import_child_process.execSync)('ls')", 0),
    ],
)
def test_what_a_bundler_exports_is_followed(form: str, does: str, found: int) -> None:
    code = f"{_BUNDLE}{form} {{\n  return {does};\n}}\n"
    assert len(findings(called(code), "DF-002")) == found


@pytest.mark.parametrize(
    ("taken", "found"),
    [
        ("name.split('/').pop()", 0),
        ("name.split('/').slice(-1)[0]", 0),
        ("name.split('/').at(-1)", 0),
        ("name.split('/')[1]", 0),
        ("parts[parts.length - 1]", 0),
        ("name.split('/').join('/')", 1),
        ("name.split('/').slice(1).join('/')", 1),
        ("name.split('.').pop()", 1),
        ("name.split('.')[0]", 1),
        ("name.split(event.by).pop()", 1),
    ],
)
def test_a_part_of_a_path_leads_to_no_other_folder(taken: str, found: int) -> None:
    code = (
        "const fs = require('fs')\nexports.handler = async (event) => {\n"
        "  const name = event.queryStringParameters.name\n  const parts = name.split('/')\n"
        f"  return fs.readFileSync('/tmp/' + {taken})\n}}\n"
    )
    assert len(findings(called(code), "DF-009")) == found


_FLASK = "import flask\nfrom PIL import Image\n\napp = flask.Flask(__name__)\n\n@app.route('/a', methods=['POST'])\ndef a():\n"


@pytest.mark.parametrize(
    ("body", "rule", "found"),
    [
        ("    return Image.open(flask.request.files['a']).format\n", "DF-009", 0),
        ("    return Image.open(flask.request.files['a'].filename).format\n", "DF-009", 1),
        ("    return Image.open(flask.request.form['a']).format\n", "DF-009", 1),
        ("    return str(flask.request.json['a'])\n", "DF-013", 0),
        ("    return str(flask.request.form['a'])\n", "DF-013", 1),
        ("    return str(flask.request.get_json(force=True)['a'])\n", "DF-013", 1),
    ],
)
def test_an_upload_is_no_name_and_json_is_sent_by_no_page(body: str, rule: str, found: int) -> None:
    assert len(findings(python(_FLASK + body), rule)) == found


@pytest.mark.parametrize(
    ("more", "severity"),
    [("securityContext: {capabilities: {add: [NET_RAW]}}", "medium"), ("", "high")],
)
def test_what_answers_for_a_machine_has_its_network(more: str, severity: str) -> None:
    [found] = findings(workload(more, pod="hostNetwork: true"), "KUB-004")
    assert found.severity.value == severity


@pytest.mark.parametrize(
    ("values", "severity"),
    [
        ("{DB_PASSWORD: password, DB_URL: 'jdbc:postgresql://localhost:5432/a'}", "medium"),
        ("{DB_PASSWORD: password}", "high"),
        ("{SMTP_PASSWORD: k9Tq2wLm8z, SMTP_HOST: your-smtp-host}", "medium"),
        ("{SMTP_PASSWORD: k9Tq2wLm8z, SMTP_HOST: mail.shop.internal}", "high"),
        (f"{{API_KEY: {_GOOGLE}, DOMAIN: a.firebaseapp.com}}", "medium"),
        (f"{{API_KEY: {_GOOGLE}, DOMAIN: a.shop.internal}}", "high"),
    ],
)
def test_what_is_to_be_filled_in_or_shown_is_milder(values: str, severity: str) -> None:
    [found] = findings(function(f"Environment: {{Variables: {values}}}"), "SEC-005")
    assert found.severity.value == severity


@pytest.mark.parametrize(
    ("name", "severity"),
    [("vendor/a/b.go", "low"), ("a/b_test.go", "low"), ("a/b.go", "high")],
)
def test_what_others_wrote_is_no_secret_of_the_application(name: str, severity: str) -> None:
    text = 'var address = "postgres://shop:k9Tq2wLm8z@db.shop.internal/orders"\n'
    [found] = findings({**function(), name: text}, "SEC-003")
    assert found.severity.value == severity


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("'SELECT * FROM a ' +\n    'WHERE id = ?', [event.id]", 0),
        ("'SELECT * FROM a ' +\n    'WHERE id = ' + event.id", 1),
        ("'SELECT * FROM a WHERE id = ' + event.id", 1),
        ("'SELECT \\'a\\' FROM a ' + 'WHERE b'", 0),
        ("`SELECT * FROM a WHERE id = ${event.id}`", 1),
    ],
)
def test_a_statement_that_is_written_in_two_lines_is_written_out(
    statement: str, found: int
) -> None:
    code = f"exports.handler = async (event) => {{\n  return db.query({statement})\n}}\n"
    assert len(findings(javascript(code), "JS-011")) == found


@pytest.mark.parametrize(
    ("token", "found"),
    [("answer.AuthenticationResult.IdToken", 0), ("event.headers.authorization", 1)],
)
def test_a_token_that_cognito_answers_is_its_own(token: str, found: int) -> None:
    code = (
        "exports.handler = async (event) => {\n  const answer = await cognito.send(start)\n"
        f"  return JSON.parse(Buffer.from({token}.split('.')[1], 'base64')).sub\n}}\n"
    )
    assert len(findings(javascript(code), "ID-011")) == found


@pytest.mark.parametrize(("path", "found"), [("/admin/login", 0), ("/admin/logins", 1)])
def test_nobody_is_known_before_they_log_in(path: str, found: int) -> None:
    event = f"Type: Api\nProperties: {{Path: {path}, Method: get}}"
    assert len(findings(function(event=event), "API-003")) == found


@pytest.mark.parametrize(("answer", "found"), [("rows", 0), ("flask.request.args['a']", 1)])
def test_what_a_statement_gives_is_not_what_it_was_given(answer: str, found: int) -> None:
    body = (
        "    given = [{'name': 'a', 'value': {'stringValue': flask.request.args['a']}}]\n"
        "    rows = boto3.client('rds-data').execute_statement(parameters=given, sql='SELECT :a')\n"
        f"    return str({answer})\n"
    )
    assert len(findings(python("import boto3\n" + _FLASK + body), "DF-013")) == found


@pytest.mark.parametrize(("method", "found"), [("options", 0), ("get", 1), ("post", 1)])
def test_what_browsers_ask_before_a_call_is_no_inner_route(method: str, found: int) -> None:
    event = f"Type: Api\nProperties: {{Path: /admin/users, Method: {method}}}"
    assert len(findings(function(event=event), "API-003")) == found


_EXPRESS = "const express = require('express'); const app = express();\n"


@pytest.mark.parametrize(
    ("route", "sent", "found"),
    [
        ("app.put('/a', (req, res) => res.send(`<p>${SENT}`))", "req.body.a", 0),
        ("app.delete('/a', (req, res) => res.send(`<p>${SENT}`))", "req.query.a", 0),
        ("app.post('/a', (req, res) => res.send(`<p>${SENT}`))", "req.body.a", 1),
        ("app.all('/a', (req, res) => res.send(`<p>${SENT}`))", "req.body.a", 1),
        ("app.get('/a', (req, res) => res.send(`<p>${SENT}`))", "req.headers.authorization", 0),
        ("app.get('/a', (req, res) => res.send(`<p>${SENT}`))", "req.headers.referer", 1),
    ],
)
def test_what_no_link_and_no_form_brings_is_shown_to_nobody(
    route: str, sent: str, found: int
) -> None:
    code = (
        _EXPRESS
        + route.replace("SENT", sent)
        + "\nexports.handler = require('serverless-http')(app)\n"
    )
    assert len(findings(javascript(code), "DF-013")) == found


@pytest.mark.parametrize(
    ("beside", "value", "found"),
    [
        ("endpoint: 'http://localhost:8000', ", "b7Qx2LmPz9Wd4RtY6uKe", 0),
        ("endpoint: '127.0.0.1:8000', ", "b7Qx2LmPz9Wd4RtY6uKe", 0),
        ("", "fakeSecretAccessKey", 0),
        ("endpoint: 'https://localhost.example', ", "b7Qx2LmPz9Wd4RtY6uKe", 1),
        ("", "b7Qx2LmPz9Wd4RtY6uKe", 1),
    ],
)
def test_a_key_to_this_machine_alone_opens_nothing(beside: str, value: str, found: int) -> None:
    code = (
        "const AWS = require('aws-sdk')\n"
        f"const db = new AWS.DynamoDB({{ {beside}accessKeyId: 'a', secretAccessKey: '{value}' }})\n"
        "exports.handler = async () => db\n"
    )
    assert len(findings(javascript(code), "JS-019")) == found


@pytest.mark.parametrize(
    ("read", "found"),
    [
        ("    with open('env.yml') as f:\n        return yaml.load(f)\n", 0),
        ("    return yaml.load(open('conf/env.yml'))\n", 0),
        ("    with open('/tmp/env.yml') as f:\n        return yaml.load(f)\n", 1),
        ("    with open(event['a']) as f:\n        return yaml.load(f)\n", 1),
        (
            "    with open('env.yml') as f:\n        f = event['a']\n        return yaml.load(f)\n",
            1,
        ),
        ("    os.chdir('/tmp')\n    with open('env.yml') as f:\n        return yaml.load(f)\n", 1),
        ("    return yaml.load(event['a'])\n", 1),
    ],
)
def test_yaml_that_comes_with_the_code_is_written_by_nobody_else(read: str, found: int) -> None:
    code = f"import os, yaml\n\ndef handler(event, context):\n{read}"
    assert len(findings(python(code), "PY-013")) == found


@pytest.mark.parametrize(
    ("made", "found"),
    [
        ("{ ...event, userId }", 0),
        ("{ userId, ...event }", 1),
        ("{ ...event, userId, [event.body]: 1 }", 1),
        ("Object.assign({ ...event, userId }, JSON.parse(event.body))", 1),
    ],
)
def test_what_is_put_after_a_spread_is_what_it_was_set_to(made: str, found: int) -> None:
    code = (
        "const cp = require('child_process')\nconst userId = process.env.USER\n"
        f"exports.handler = async (event) => {{\n  const all = {made}\n"
        "  const use = ({ userId }) => cp.execSync('id ' + userId)\n  return use(all)\n}\n"
    )
    assert len(findings(called(code), "DF-002")) == found


_SIGNED = (
    "const nacl = require('tweetnacl')\nconst { verifyKey } = require('discord-interactions')\n"
    "const User = require('mongoose').model('U')\nexports.handler = async (event) => {\n"
    "  const b = JSON.parse(event.body)\n  CHECK\n"
    "  return User.findOne({ name: b.data.options[0].value })\n}\n"
)


@pytest.mark.parametrize(
    ("check", "found"),
    [
        ("if (!nacl.sign.detached.verify(Buffer.from(time + event.body), sign, key)) return", 0),
        ("const ok = verifyKey(event.body, sign, time, key); if (!ok) return", 0),
        ("const ok = await verifyKey(event.body, sign, time, key); if (!ok) return", 0),
        ("nacl.sign.detached.verify(Buffer.from(time + event.body), sign, key)", 1),
        ("if (verifyKey(event.body, sign, time, key)) return", 1),
        ("if (!verifyKey(event.headers.a, sign, time, key)) return", 1),
    ],
)
def test_what_a_service_has_signed_has_its_shape(check: str, found: int) -> None:
    assert len(findings(called(_SIGNED.replace("CHECK", check)), "DF-019")) == found


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("`/tmp/${name}-log.csv`", 0),
        ("`/tmp/${name}/audio.mp3`", 0),
        ("`/tmp/${name}.csv`", 1),
        ("`/tmp/${name}/index.js`", 1),
        ("`/data/${name}-log.csv`", 1),
        ("`/tmp/${name}-log.csv` + name", 1),
    ],
)
def test_an_end_that_is_written_out_leads_to_files_of_ones_own(path: str, found: int) -> None:
    code = (
        "const fs = require('fs')\nexports.handler = async (event) => {\n"
        f"  const name = event.queryStringParameters.name\n  return fs.readFileSync({path})\n}}\n"
    )
    assert len(findings(called(code), "DF-009")) == found


@pytest.mark.parametrize(("id_", "severity"), [("ASIA" + _ID[4:], "medium"), (_ID, "high")])
def test_keys_of_a_session_are_over(id_: str, severity: str) -> None:
    values = (
        f"Environment: {{Variables: {{AWS_ACCESS_KEY_ID: {id_}, AWS_SECRET_ACCESS_KEY: {_KEY}}}}}"
    )
    for rule in ("SEC-005", "SEC-006"):
        assert {each.severity.value for each in findings(function(values), rule)} == {severity}
