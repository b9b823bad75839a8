"""What was told wrongly of templates not seen before, each beside what must still be told.

Each stands for a verdict that was once wrong: docs/reference/audit-verdicts.md.
"""

from __future__ import annotations

import pytest
from tests.unit.audit.test_audit_ordinary import findings
from tests.unit.audit.test_audit_ordinary_apps import severities

from casemate.audit.rules.examples import function, javascript

_DATA = "event.queryStringParameters.a"


_GET = "Type: Api\nProperties: {Path: /thing, Method: get}"


def _of(before: str, body: str) -> dict[str, str]:
    files = dict(function("Runtime: nodejs22.x", event=_GET))
    code = f"{before}\nexports.handler = async (event) => {{\n{body}\n}}\n"
    return {**files, "src/app.js": code}


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("encodeURI(`https://a.example/s?q=${%s}`)", False),
        ("encodeURI(`https://${%s}/s`)", True),
        ("`http://a.example/j/${%s}`.replace('https://', 'http://')", False),
        ("`https://a.example/j/${%s}`.replace('https://', 'http://')", False),
        ("`https://a.example/s?q=${%s}`.replace(/ /g, '+')", False),
        ("`https://a.example${%s}`.replace('https://', 'http://')", True),
        ("`https://a.example/${%s}`.replace('a.example/', '')", True),
        ("`https:-${%s}`.replace(/-/g, '//')", True),
    ],
)
def test_an_address_keeps_its_host_through_what_rewrites_it(address: str, told: bool) -> None:
    files = _of("const axios = require('axios')", f"return await axios.get({address % _DATA})")
    assert bool(severities(files, "DF-011")) is told


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("`${os.tmpdir()}/qr/third_${%s}.png`", False),
        ("`/tmp/qr_${%s}.html`", False),
        ("`/srv/${%s}`", True),
        ("`/srv/.${%s}`", True),
        ("`/tmp/qr_${%s}/x`", True),
        ("path.join('/tmp', `qr_${%s}`)", True),
        ("path.normalize(`/tmp/qr_${%s}`)", True),
        ("path.resolve(`/tmp/qr_${%s}`)", True),
    ],
)
def test_data_that_continues_a_name_leads_nowhere_else(path: str, told: bool) -> None:
    before = "const fs = require('fs'), os = require('os'), path = require('path')"
    files = _of(before, f"return fs.readFileSync({path % _DATA})")
    assert bool(severities(files, "DF-009")) is told


def test_express_shortens_a_path_before_it_opens_it() -> None:
    before = (
        "const app = require('express')(); const run = require('serverless-http')(app)\n"
        "app.get('/a', (req, res) => { res.sendFile(`/srv/qr_${req.query.a}`) })"
    )
    assert severities(_of(before, "return await run(event)"), "DF-009")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("open('/tmp/qr_' + event['queryStringParameters']['a'] + '.html').read()", False),
        ("open('/srv/' + event['queryStringParameters']['a']).read()", True),
        (
            "open(os.path.normpath('/tmp/qr_' + event['queryStringParameters']['a'])).read()",
            True,
        ),
    ],
)
def test_data_that_continues_a_name_in_python(code: str, told: bool) -> None:
    files = dict(
        function("Runtime: python3.13", event="Type: Api\nProperties: {Path: /a, Method: get}")
    )
    files["src/app.py"] = f"import os\n\ndef handler(event, context):\n    return {code}\n"
    assert bool(severities(files, "DF-009")) is told


@pytest.mark.parametrize(("name", "told"), [("email", False), ("more", True)])
def test_a_schema_of_joi_holds_the_parts_it_is_given_in_an_object(name: str, told: bool) -> None:
    before = (
        "const Joi = require('joi'); const { MongoClient } = require('mongodb')\n"
        "const schema = Joi.object({ email: Joi.string().required() })"
    )
    body = (
        "const { email, more } = JSON.parse(event.body)\n"
        "const { error } = schema.validate({ email })\n"
        "if (error) { return { statusCode: 400, body: '' } }\n"
        "const db = (await MongoClient.connect('a')).db()\n"
        f"return await db.collection('users').findOne({{ {name} }})"
    )
    assert bool(severities(_of(before, body), "DF-019")) is told


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("statusCode: 500, error: err.stack", 0),
        ("statusCode: 500, body: err.stack", 1),
        ("statusCode: 500, 'body': err.stack", 1),
        ("statusCode: 500, ...{ body: err.stack }", 1),
        ("error: err.stack", 1),
    ],
)
def test_beside_a_status_only_what_is_passed_on_is_told(answer: str, found: int) -> None:
    caught = f"catch (err) {{ return {{ {answer} }} }}"
    code = f"exports.handler = async (event) => {{ try {{ return 1 }} {caught} }}"
    assert len(findings(javascript(code), "JS-002")) == found


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("sm:/shop/admin-password", False),
        ("op://shop/admin/password", False),
        ("vault:/kv/shop", False),
        ("smKi9f8dH2bR", True),
        ("sm/kP98aR7xQ2", True),
    ],
)
def test_the_place_of_a_password_is_none(value: str, told: bool) -> None:
    settings = f"Runtime: python3.13\nEnvironment: {{Variables: {{ADMIN_PASSWORD: '{value}'}}}}"
    files = dict(function(settings, event="Type: Api\nProperties: {Path: /a, Method: get}"))
    assert bool(severities(files, "SEC-005")) is told


_ADMIN = "Type: Api\nProperties: {Path: /admin/users, Method: get}"


@pytest.mark.parametrize(
    ("code", "severity"),
    [
        ("auth.role(Roles.ADMIN, async (event) => {\n  return 1\n})", "medium"),
        (
            "middy(async (event) => {\n  return 1\n}).use(userTypes([UserType.ADMIN]))\n",
            "medium",
        ),
        ("middy(async (event) => {\n  return 1\n}).use(httpCors())\nauth.require()\n", "high"),
        ("async (event) => {\n  return db.auth.list()\n}\n", "high"),
    ],
)
def test_a_check_may_stand_around_or_behind_a_handler(code: str, severity: str) -> None:
    files = dict(function("Runtime: nodejs22.x", event=_ADMIN))
    files["src/app.js"] = f"exports.handler = {code}"
    assert severities(files, "API-003") == [severity]


@pytest.mark.parametrize(("name", "severity"), [("_require_jwt", "medium"), ("_body", "high")])
def test_a_check_may_be_private(name: str, severity: str) -> None:
    files = dict(function("Runtime: python3.13", event=_ADMIN))
    files["src/app.py"] = f"def handler(event, context):\n    return {name}(event)\n"
    assert severities(files, "API-003") == [severity]


_SERVICE = """\
service: shop
provider: {name: aws, runtime: nodejs22.x}
functions:
  mine:
    handler: app.mine
    events:
      - http:
          path: mine
          method: get
          authorizer: {arn: 'arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_a'}
  open:
    handler: app.open
    events:
      - http: {path: open, method: get}
"""
_CLAIMS = """\
const jwt = require('jsonwebtoken')
const claims = (event) => {
  return jwt.decode(event.headers.Authorization)
}
exports.mine = async (event) => {
  return claims(event).sub
}
exports.open = async (event) => {
  return %s
}
"""


@pytest.mark.parametrize(("answer", "told"), [("1", False), ("claims(event).sub", True)])
def test_claims_that_only_a_handler_behind_an_authorizer_reads(answer: str, told: bool) -> None:
    files = {"serverless.yml": _SERVICE, "app.js": _CLAIMS % answer}
    assert bool(severities(files, "ID-011")) is told


_GOOGLE = """\
import functions_framework, json

def answer(payload):
    headers = {"Access-Control-Allow-Origin": "*"}
    headers["Content-Type"] = "%s"
    return (json.dumps(payload), 200, headers)

@functions_framework.http
def verify(request):
    return answer({"a": request.args.get("a")})
"""


@pytest.mark.parametrize(("kind", "told"), [("application/json", False), ("text/html", True)])
def test_headers_beside_a_body_say_what_it_is(kind: str, told: bool) -> None:
    files = {"main.py": _GOOGLE % kind, "requirements.txt": "functions-framework==3.8.1\n"}
    assert bool(severities(files, "DF-013")) is told


_STACK = """\
service: shop
provider:
  name: aws
  runtime: nodejs22.x
  iamRoleStatements:
    - {Effect: Allow, Action: ['dynamodb:UpdateItem', 'dynamodb:Scan'], Resource: '*'}
functions:
  change: {handler: app.handler, events: [{http: {path: a, method: get}}]}
"""
_CLASS = """\
import * as AWS from 'aws-sdk'
class Orders {
  constructor(
    %s docClient = new AWS.DynamoDB.DocumentClient(),
    private readonly table = 'orders') {%s}
  async change(id) { await this.docClient.update({ TableName: this.table, Key: { id } }).promise() }
}
const orders = new Orders()
export const handler = async (event) => { await orders.change(event.id); return 1 }
"""


@pytest.mark.parametrize(
    ("kept", "body"),
    [("private readonly", ""), ("public", ""), ("", " this.docClient = docClient ")],
)
def test_a_property_of_a_constructor_has_its_default(kept: str, body: str) -> None:
    files = {"serverless.yml": _STACK, "app.ts": _CLASS % (kept, body)}
    assert not findings(files, "PRIV-003")
    [needless] = findings(files, "PRIV-002")
    assert "dynamodb:Scan" in needless.text


def test_a_property_that_nothing_uses_needs_nothing() -> None:
    code = (_CLASS % ("private", "")).replace("this.docClient.update", "this.other.update")
    assert findings({"serverless.yml": _STACK, "app.ts": code}, "PRIV-003")


_READS = """\
const { where } = require(%s)
const mysql = require('mysql2/promise')
const db = mysql.createConnection({ host: 'db' })
exports.handler = async (event) => {
  return await db.query(`SELECT * FROM orders WHERE ${where(event.queryStringParameters)}`)
}
"""
_SHARED = "exports.where = (fields) => %s\n"
_SERVICE_OF_USERS = """\
service: users
provider:
  name: aws
  runtime: nodejs22.x
  environment: {ROOT: '${file(envs.json):root}'}
functions:
  read: {handler: app.handler, events: [{http: {path: users, method: get}}]}
"""


@pytest.mark.parametrize(
    "name", ["`${process.env.ROOT}/shared`", "process.env.AWS ? '/opt/shared' : '../../shared'"]
)
@pytest.mark.parametrize(
    ("made", "told"), [("`id = '${fields.id}'`", True), ("`id = ${Number(fields.id)}`", False)]
)
def test_a_module_is_found_by_a_name_that_is_known_in_part(
    name: str, made: str, told: bool
) -> None:
    files = {
        "services/users/serverless.yml": _SERVICE_OF_USERS,
        "services/users/app.js": _READS % name,
        "shared/index.js": _SHARED % made,
    }
    assert bool(severities(files, "DF-001")) is told


@pytest.mark.parametrize(
    ("folder", "source", "handler"),
    [
        ("dist/handlers/read/", "src/handlers/read/index.ts", "index.handler"),
        ("./build", "core/read.ts", "core/read.handler"),
        ("dist", "src/app.ts", "src/app.handler"),
        ("./dist-lambda", "src/app.ts", "app.handler"),
    ],
)
def test_what_is_compiled_later_is_read_where_it_is_written(
    folder: str, source: str, handler: str
) -> None:
    files = dict(function("Runtime: nodejs22.x", event=_GET))
    del files["src/app.py"]
    template = files["template.yaml"].replace("CodeUri: src", f"CodeUri: {folder}")
    files["template.yaml"] = template.replace("app.handler", handler)
    code = "exports.handler = async (event) => { %s }\n"
    assert severities({**files, source: code % "eval(event.body)"}, "DF-004")
    assert not severities({**files, source: code % "return 1"}, "DF-004")


_GRAPH = """\
const { GraphQLSchema, GraphQLObjectType, GraphQLString } = require('graphql')
%sconst mongoose = require('mongoose')
const Order = mongoose.model('Order', new mongoose.Schema({ name: String }))
const fields = {
  order: { type: GraphQLString, args: { name: { type: %s } }, resolve: async (root, args) => %s }
}
const schema = new GraphQLSchema({ query: new GraphQLObjectType({ name: 'Q', fields }) })
exports.handler = require('apollo-server-lambda').graphqlLambda({ schema })
"""


@pytest.mark.parametrize(
    ("imports", "kind", "found", "told"),
    [
        ("", "GraphQLString", "Order.findOne({ name: args.name })", False),
        (
            "const { GraphQLJSON } = require('graphql-type-json')\n",
            "GraphQLJSON",
            "Order.findOne({ name: args.name })",
            True,
        ),
        ("", "GraphQLString", "Order.find({ $where: `this.name == '${args.name}'` })", True),
    ],
)
def test_arguments_of_graphql_are_of_their_types(
    imports: str, kind: str, found: str, told: bool
) -> None:
    files = dict(function("Runtime: nodejs22.x", event=_GET))
    files["src/app.js"] = _GRAPH % (imports, kind, found)
    assert any(severities(files, rule) for rule in ("DF-019", "DF-004")) is told


@pytest.mark.parametrize(
    ("host", "severity"),
    [("127.0.0.1:5434", "medium"), ("localhost", "medium"), ("localhost.shop.example", "high")],
)
def test_a_password_of_this_machine_is_less_grave(host: str, severity: str) -> None:
    files = dict(function("Runtime: nodejs22.x", event=_GET))
    address = f"postgresql://shop:k9Tq2wLm8z@{host}/orders"
    files["src/app.js"] = f"const url = '{address}'\nexports.handler = async (event) => 1\n"
    assert severities(files, "SEC-003") == [severity]
