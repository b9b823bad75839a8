"""What ordinary templates and code do rightly is no finding, and what frameworks add is no note.

Each stands for a verdict of docs/reference/audit-verdicts.md that was once wrong.
"""

from __future__ import annotations

import pytest
from tests.support.audit import application

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.finding import Finding
from casemate.audit.flow import analyse, discover
from casemate.audit.rule import Subject
from casemate.audit.rules.all import RULES
from casemate.audit.rules.examples import (
    Files,
    function,
    javascript,
    python,
    resource,
    statement,
)
from casemate.audit.workspace import Workspace


def findings(files: Files, rule: str) -> list[Finding]:
    workspace = Workspace.of(dict(files))
    [found] = applications_of(workspace)
    [checked] = [each for each in RULES if each.id == rule]
    return list(checked.findings(Subject(found, workspace, Code(workspace))))


def told(files: Files, rule: str) -> int:
    return len(findings(files, rule))


_KEY = "import requests\nfrom jose import jwk, jwt\n\ndef key_of(token):\n"
_CLAIMS = "    pool = jwt.get_unverified_claims(token)['iss']\n"


@pytest.mark.parametrize(
    ("checks", "found"),
    [
        ("    return pool\n", 1),
        ("    return jwt.decode(token, requests.get(pool).json(), algorithms=['RS256'])\n", 0),
        ("    return jwk.construct(pool).verify(token.encode(), b'signature')\n", 0),
        ("    return jwt.decode(token, 'k', options={'verify_signature': False})\n", 2),
        ("    return self.verify(token)\n", 1),
    ],
)
def test_claims_are_read_before_a_signature_is_checked(checks: str, found: int) -> None:
    assert told(python(_KEY + _CLAIMS + checks), "PY-014") == found


def bucket(condition: str) -> Files:
    statement = (
        "{Effect: Allow, Action: '*', Principal: {AWS: '*'}, Resource: '*', Condition: " + condition
    )
    policy = f"Bucket: !Ref Store\nPolicyDocument: {{Statement: [{statement}}}]}}"
    return resource("AWS::S3::BucketPolicy", policy, "Store: {Type: AWS::S3::Bucket}")


def test_a_bucket_that_leaves_it_to_access_points_of_an_account_is_not_public() -> None:
    own = "{StringEquals: {'s3:DataAccessPointAccount': '123456789012'}}"
    assert told(bucket(own), "DATA-003") == 0
    assert told(bucket("{StringEquals: {'s3:DataAccessPointAccount': '*'}}"), "DATA-003") == 1
    other = "{StringNotEquals: {'s3:DataAccessPointAccount': '123456789012'}}"
    assert told(bucket(other), "DATA-003") == 1


@pytest.mark.parametrize(
    ("action", "rules"),
    [
        ("lambda:CreateFunction", []),
        ("lambda:UpdateFunctionCode", ["IAM-016"]),
        ("lambda:UpdateFunctionConfiguration", ["IAM-016"]),
        ("lambda:AddPermission", ["IAM-015"]),
        ("lambda:InvokeFunction", ["IAM-015"]),
    ],
)
def test_who_makes_new_functions_replaces_none(action: str, rules: list[str]) -> None:
    files = statement(f"Effect: Allow\nAction: ['{action}']\nResource: '*'")
    assert [rule for rule in ("IAM-015", "IAM-016") if told(files, rule)] == rules


_QUERY = """\
import json
import boto3
from boto3.dynamodb.conditions import Attr, Key

def handler(event, context):
    place = event["pathParameters"]["place"]
    table = boto3.resource("dynamodb").Table("a")
    return table.query({})
"""


@pytest.mark.parametrize(
    ("given", "flows"),
    [
        ("KeyConditionExpression=Key('a').eq(place)", 0),
        ("KeyConditionExpression=Key('a').eq(place) & Key('b').begins_with(place)", 0),
        ("FilterExpression=Attr('a').contains(place)", 0),
        ("KeyConditionExpression='a = ' + place", 1),
    ],
)
def test_conditions_that_are_objects_hold_values(given: str, flows: int) -> None:
    files = {"app.py": _QUERY.format(given)}
    found = [f for f in analyse(files, discover(files)).flows if f.weakness == "nosql"]
    assert len(found) == flows


SAM = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Work:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: app.handler
      InlineCode: 'def handler(e, c): pass'
      AutoPublishAlias: live
      FunctionUrlConfig: {AuthType: AWS_IAM}
      Events: {Daily: {Type: Schedule, Properties: {Schedule: rate(1 day)}}}
      Environment:
        Variables: {A: !Ref WorkAliaslive, B: !Ref WorkDaily, C: !GetAtt WorkRole.Arn, D: !Ref ShopProdStage,
          E: !GetAtt WorkUrl.FunctionUrl, F: !Ref NAME}
  Shop: {Type: AWS::Serverless::Api, Properties: {StageName: Prod}}
"""


def test_what_sam_makes_is_there() -> None:
    for name, there in [("WorkDaily", True), ("WorkAliasother", False), ("Wrk", False)]:
        notes = application(SAM.replace("NAME", name)).unresolved
        assert [
            n.what for n in notes if "neither a parameter" in n.what or "not a resource" in n.what
        ] == ([] if there else [f"{name} is neither a parameter nor a resource of the template"])


def test_an_option_that_is_not_given_has_its_default_wherever_it_stands() -> None:
    service = (
        "service: shop\n"
        "custom: {region: \"${opt:region, 'ap-south-1'}\"}\n"
        "provider: {name: aws, runtime: nodejs22.x, region: '${self:custom.region}'}\n"
        "functions: {a: {handler: app.handler, environment: {R: '${self:provider.region}'}}}\n"
    )
    found = application(service, "serverless.yml")
    assert [v.value for v in found.functions[0].environment] == ["ap-south-1"]
    assert not [n.what for n in found.unresolved if "refers to itself" in n.what]


def _reads_a_token(line: str, events: str) -> Files:
    event = "Events: {E: {Type: Api, Properties: {Path: /a, Method: get, " + events + "}}}"
    body = f"Runtime: nodejs22.x\nHandler: app.handler\nCodeUri: src/\n{event}"
    code = "exports.handler = async (event) => {\n  const jwt = event.headers.token.split('.')\n"
    return {
        **resource("AWS::Serverless::Function", body),
        "src/app.js": f"{code}  {line}\n}}\n",
    }


_BY_HAND = "return JSON.parse(Buffer.from(jwt[1], 'base64')).sub"


@pytest.mark.parametrize(
    ("line", "events", "found"),
    [
        (_BY_HAND, "", 1),
        ("return jwtDecode(jwt.join('.')).sub", "", 1),
        (_BY_HAND, "Auth: {Authorizer: AWS_IAM}", 0),
        (f"await verifier.verify(jwt.join('.')); {_BY_HAND}", "", 0),
        (f"// {_BY_HAND}", "", 0),
        ("return Buffer.from(event.body[1], 'base64')".replace("[1]", ""), "", 0),
    ],
)
def test_a_token_is_believed_where_nothing_looked_at_it(line: str, events: str, found: int) -> None:
    assert told(_reads_a_token(line, events), "ID-011") == found


def test_code_without_a_manifest_is_followed_too() -> None:
    code = "import os\n\ndef lambda_handler(event, context):\n    os.system(event['name'])\n"
    assert told({"tools/app.py": code}, "DF-002") == 1


_DATABASE = "{IpProtocol: tcp, FromPort: 5439, ToPort: 5439, CidrIp: 0.0.0.0/0}"
_CLUSTER = "T: {Type: AWS::Redshift::Cluster, Properties: {VpcSecurityGroupIds: [!Ref G]%s}}"


@pytest.mark.parametrize(
    ("members", "severity"),
    [
        ("", "high"),
        (_CLUSTER % "", "high"),
        (_CLUSTER % ", PubliclyAccessible: true", "high"),
        (_CLUSTER % ", PubliclyAccessible: false", "medium"),
        ("T: {Type: AWS::EC2::Instance, Properties: {SecurityGroupIds: [!Ref G]}}", "high"),
        ("T: {Type: AWS::DocDB::DBCluster, Properties: {VpcSecurityGroupIds: [!Ref G]}}", "medium"),
    ],
)
def test_a_database_without_an_address_is_not_open_to_everybody(
    members: str, severity: str
) -> None:
    group = f"AWS::EC2::SecurityGroup, Properties: {{SecurityGroupIngress: [{_DATABASE}]}}"
    text = (
        f"AWSTemplateFormatVersion: '2010-09-09'\nResources:\n  G: {{Type: {group}}}\n  {members}"
    )
    assert [each.severity.value for each in findings({"t.yaml": text}, "DATA-081")] == [severity]


@pytest.mark.parametrize(
    ("action", "rule", "found"),
    [
        ("iam:UpdateAccountPasswordPolicy", "IAM-021", 0),
        ("iam:DeleteAccountPasswordPolicy", "IAM-021", 0),
        ("iam:DeleteAccountAlias", "IAM-021", 1),
        ("iam:UpdateAssumeRolePolicy", "IAM-021", 1),
        ("config:DeleteRetentionConfiguration", "IAM-017", 0),
        ("config:DeleteConfigurationRecorder", "IAM-017", 1),
        ("config:Put*", "IAM-017", 0),
    ],
)
def test_what_an_action_does_is_told_and_not_its_verb(action: str, rule: str, found: int) -> None:
    files = statement(f"Effect: Allow\nAction: ['{action}']\nResource: '*'")
    assert told(files, rule) == found


@pytest.mark.parametrize(("default", "severity"), [("dev", "medium"), ("local", "high")])
def test_what_the_defaults_do_not_make_is_milder(default: str, severity: str) -> None:
    text = (
        f"Parameters: {{Env: {{Type: String, Default: {default}}}}}\n"
        "Conditions: {Own: !Not [!Equals [!Ref Env, dev]]}\n"
        "Resources:\n"
        "  ApiToken:\n    Type: AWS::SSM::Parameter\n    Condition: Own\n"
        "    Properties: {Type: String, Value: not-for-production}\n"
    )
    [found] = findings({"t.yaml": text}, "DATA-064")
    assert found.severity.value == severity
    assert ("defaults" in found.text) is (severity == "medium")


_OPEN = "PublicAccessBlockConfiguration: {BlockPublicAcls: false, BlockPublicPolicy: false}"
_POLICY = "{Effect: Allow, Principal: '*', Action: 's3:PutObject', Resource: !Sub '${B.Arn}/*'}"


@pytest.mark.parametrize(
    ("more", "acl", "policy"), [("{}", "medium", "medium"), (f"{{{_OPEN}}}", "high", "critical")]
)
def test_a_bucket_is_public_once_its_block_is_taken_off(more: str, acl: str, policy: str) -> None:
    settings = more.replace("{", "{AccessControl: PublicRead, ", 1)
    text = (
        "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n"
        f"  B: {{Type: AWS::S3::Bucket, Properties: {settings.replace(', }', '}')}}}\n"
        "  P: {Type: AWS::S3::BucketPolicy, Properties: {Bucket: !Ref B, PolicyDocument: "
        f"{{Statement: [{_POLICY}]}}}}}}\n"
    )
    assert [each.severity for each in findings({"t.yaml": text}, "DATA-001")] == [acl]
    assert [each.severity for each in findings({"t.yaml": text}, "DATA-003")] == [policy]


def test_a_helper_that_is_given_an_event_is_no_handler() -> None:
    code = (
        "import urllib.request\n\n\n"
        "def send(event, context, status):\n"
        "    urllib.request.urlopen(event['body'])\n\n\n"
        "def handler(event, context):\n    return 1\n"
    )
    assert told({"app.py": code}, "DF-011") == 0
    assert told({"app.py": code.replace("context, status", "context, status=1")}, "DF-011") == 1


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ("{'a': {'AttributeValueList': [{'S': n}], 'ComparisonOperator': 'EQ'}}", 0),
        ("{'a': {'AttributeValueList': [{'S': 'x'}], 'ComparisonOperator': n}}", 1),
        ("n", 1),
    ],
)
def test_a_value_that_is_compared_brings_no_operator(filter: str, found: int) -> None:
    code = (
        "import json\nimport boto3\n\n\ndef handler(event, context):\n"
        "    n = json.loads(event['body'])['n']\n"
        f"    boto3.client('dynamodb').scan(TableName='t', ScanFilter={filter})\n"
    )
    assert told({"app.py": code}, "DF-019") == found


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("Buffer.from(event.body).toString('base64').substring(0, 8)", 0),
        ("Buffer.from(event.body).toString('hex')", 0),
        ("Buffer.from(event.body).toString('utf8')", 1),
        ("event.body.toString('hex')", 1),
    ],
)
def test_bytes_that_are_written_out_leave_no_folder(written: str, found: int) -> None:
    code = (
        "const fs = require('fs');\nexports.handler = async (event) => {\n"
        f"  fs.writeFileSync('/tmp/' + {written} + '.js', 'x');\n}};\n"
    )
    text = python("")["template.yaml"].replace("python3.13", "nodejs22.x")
    assert told({"template.yaml": text, "src/app.js": code}, "DF-009") == found


@pytest.mark.parametrize(
    ("origin", "found"), [("*", 0), ("https://*", 1), ("https://shop.example", 0)]
)
def test_browsers_take_no_credentials_with_a_star_alone(origin: str, found: int) -> None:
    cors = f"CorsConfiguration: {{AllowOrigins: ['{origin}'], AllowCredentials: true}}"
    text = (
        "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n"
        "  A: {Type: AWS::ApiGatewayV2::Api, Properties: {ProtocolType: HTTP, "
        f"{cors}}}}}\n"
    )
    assert told({"t.yaml": text}, "API-011") == found


@pytest.mark.parametrize(
    ("action", "severity"), [("AddPermission", "medium"), ("UpdateFunctionCode", "high")]
)
def test_who_may_call_a_function_is_not_its_code(action: str, severity: str) -> None:
    files = statement(
        f"Effect: Allow\nAction: ['lambda:{action}']\nResource: !Sub '${{Thing.Arn}}'"
    )
    assert [each.severity for each in findings(files, "PRIV-011")] == [severity]


@pytest.mark.parametrize(("answer", "found"), [("await call_next(request)", 0), ("name", 1)])
def test_what_comes_after_a_middleware_is_no_data(answer: str, found: int) -> None:
    code = (
        "from fastapi import FastAPI\nfrom fastapi.responses import HTMLResponse\n\n"
        "app = FastAPI()\n\n\n"
        "@app.middleware('http')\nasync def logged(request, call_next):\n"
        "    return await call_next(request)\n\n\n"
        "@app.get('/')\nasync def page(request, name: str, call_next=None):\n"
        f"    return HTMLResponse({answer})\n"
    )
    assert told({"main.py": code}, "DF-013") == found


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (r"^[a-zA-Z0-9][a-zA-Z0-9-]*\.myshopify\.com$", 0),
        (r"^[\w-]+\.shop\.example\.com$", 0),
        (r"^[a-z.]+\.com$", 1),
        (r"^[a-z/]+\.shop\.example$", 1),
        (r"^.*\.shop\.example$", 1),
        (r"^[a-z]+\.shop\.example", 1),
        (r"[a-z]+\.shop\.example$", 1),
        (r"^[a-z]+|x\.shop\.example$", 1),
    ],
)
def test_a_host_of_one_domain_is_no_address_from_outside(expression: str, found: int) -> None:
    code = (
        "const axios = require('axios');\nexports.handler = async (event) => {\n"
        "  const shop = event.queryStringParameters.shop;\n"
        "  let d = shop;\n  if (!d.includes('.')) d = `${d}.shop.example`;\n"
        f"  if (!d.match(/{expression.replace('/', chr(92) + '/')}/)) return {{}};\n"
        "  await axios.post(`https://${d}/token`, {});\n};\n"
    )
    text = python("")["template.yaml"].replace("python3.13", "nodejs22.x")
    assert told({"template.yaml": text, "src/app.js": code}, "DF-011") == found


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("'https://a.example', json.dumps(text)", 0),
        ("'https://a.example', data=text", 0),
        ("text", 1),
    ],
)
@pytest.mark.parametrize("library", ["urllib2", "urllib.request"])
def test_what_is_sent_is_no_address(library: str, given: str, found: int) -> None:
    code = (
        f"import json\nimport {library}\n\n\ndef handler(event, context):\n"
        f"    text = event['body']\n    {library}.urlopen({library}.Request({given}))\n"
    )
    assert told({"app.py": code}, "DF-011") == found


@pytest.mark.parametrize(
    ("value", "severity"), [("PASSWORD", "medium"), ("password", "high"), ("PASSWORD1", "high")]
)
def test_a_name_in_the_place_of_a_password_is_to_be_filled_in(value: str, severity: str) -> None:
    files = function(f"Environment: {{Variables: {{REDIS_PASSWORD: {value}}}}}")
    assert [each.severity for each in findings(files, "SEC-005")] == [severity]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("tempfile.NamedTemporaryFile()", 0),
        ("tempfile.NamedTemporaryFile(prefix='in')", 0),
        ("tempfile.NamedTemporaryFile(prefix=event['body'])", 1),
    ],
)
def test_what_is_written_into_a_file_does_not_choose_its_name(written: str, found: int) -> None:
    code = (
        "import tempfile\nimport zipfile\n\n\ndef handler(event, context):\n"
        f"    kept = {written}\n    kept.write(event['body'].encode())\n    kept.flush()\n"
        "    zipfile.ZipFile(kept.name).extractall('/tmp/in')\n"
    )
    assert told(python(code), "DF-009") == found


@pytest.mark.parametrize(
    ("actions", "severity"),
    [
        ("s3:PutObjectAcl", "medium"),
        ("s3:PutBucketAcl", "medium"),
        ("s3:PutBucketPolicy", "high"),
        ("s3:PutObjectAcl', 's3:PutBucketPolicy", "high"),
        ("s3:PutBucket*", "high"),
    ],
)
def test_lists_of_access_open_no_new_bucket(actions: str, severity: str) -> None:
    allowed = statement(f"Effect: Allow\nAction: ['{actions}']\nResource: '*'")
    assert [each.severity for each in findings(allowed, "IAM-022")] == [severity]


@pytest.mark.parametrize(
    ("key", "found"), [("X" * 22, 0), ("*" * 40, 0), ("kUu8sP0dL2qWn4vBz7mXc1yTr6hGj3eA", 1)]
)
def test_a_key_of_one_sign_is_to_be_filled_in(key: str, found: int) -> None:
    line = f"const c = {{ accessKeyId: 'AKIA', secretAccessKey: '{key}' }};\n"
    assert told(javascript(line + "exports.handler = async () => c;"), "JS-019") == found


@pytest.mark.parametrize(
    ("condition", "severity"),
    [
        ("process.env.DB_SSL === 'true'", "medium"),
        ("process.env.ALLOW_SELF_SIGNED", "medium"),
        ("process.env.NODE_ENV === 'production'", "high"),
        ("process.env.DB_SSL !== 'true'", "high"),
        ("host.startsWith('db')", "high"),
    ],
)
@pytest.mark.parametrize(
    "form",
    [
        "if ({}) {{ o.ssl = {{ rejectUnauthorized: false }} }}",
        "o.ssl = {} ? {{ rejectUnauthorized: false }} : true",
    ],
)
def test_what_only_a_setting_puts_on_is_milder(form: str, condition: str, severity: str) -> None:
    code = f"const o = {{}}; const host = 'a';\n{form.format(condition)}\n"
    [finding] = findings(javascript(code + "exports.handler = async () => o;"), "JS-005")
    assert finding.severity == severity


def test_certificates_are_unchecked_where_the_setting_is_not_there() -> None:
    code = "const o = process.env.CHECKED ? {} : { rejectUnauthorized: false };\n"
    [finding] = findings(javascript(code + "exports.handler = async () => o;"), "JS-005")
    assert finding.severity == "high"


@pytest.mark.parametrize(
    ("body", "severity"),
    [
        ("    user = require_admin(event)\n", "medium"),
        ("    if not is_admin(event):\n        return {}\n", "medium"),
        ("    verify_token(event)\n", "medium"),
        ("    return administer(event)\n", "high"),
        ("    get_token()\n", "high"),
        ("    return {}\n\n\ndef other(event):\n    require_admin(event)\n", "high"),
    ],
)
def test_a_handler_that_looks_at_who_calls_is_milder(body: str, severity: str) -> None:
    files = function(
        event="Type: Api\nProperties: {Path: /admin/users, Method: get}",
        code="def handler(event, context):\n" + body,
    )
    assert [each.severity for each in findings(files, "API-003")] == [severity]


def test_a_handler_in_javascript_that_looks_at_who_calls_is_milder() -> None:
    template = python("")["template.yaml"].replace("python3.13", "nodejs22.x")
    template = template.replace("/thing", "/admin/thing")
    code = "const {} = wrap(async (event) => {{\n  const admin = await requireAdmin(event);\n}});\n"
    for name, severity in (("handler", "medium"), ("another", "high")):
        more = "exports.handler = async () => ({});\n" if name != "handler" else ""
        files = {"template.yaml": template, "src/app.js": more + code.format(name)}
        assert [each.severity for each in findings(files, "API-003")] == [severity]


def test_a_token_that_ends_within_an_hour_is_no_secret_in_a_file() -> None:
    code = "# ya29.a0ARrdaM91sSKZtUIyjwsRIgvTNLW6qu2OY4pfK6CIt3pfgB2L3e4jUZe8MdP98U1p0\n"
    assert told(python(code + "def handler(event, context):\n    return {}\n"), "SEC-001") == 0


_API = (
    "from typing import Annotated, Any, Optional\n\nfrom fastapi import FastAPI\n"
    "from motor.motor_asyncio import AsyncIOMotorClient\n"
    "from pydantic import BaseModel, EmailStr\n\n"
    "app = FastAPI()\ndb = AsyncIOMotorClient('mongodb://db')['shop']\n\n\n"
    "class Order(BaseModel):\n    email: EmailStr\n    note: Optional[str] = None\n"
    "    tags: list[str]\n    more: dict\n    any: Any\n\n\n"
)


@pytest.mark.parametrize(
    ("given", "asked", "found"),
    [
        ("slug: str", "slug", 0),
        ("slug: Optional[str] = None", "slug", 0),
        ("slug: 'str | None' = None", "slug", 0),
        ("slug: Annotated[str, 'of a page']", "slug", 0),
        ("order: Order", "order.email", 0),
        ("order: Order", "order.note", 0),
        ("order: Order", "order.tags", 0),
        ("order: Order", "order.more", 1),
        ("order: Order", "order.any", 1),
        ("order: Order", "order.dict()", 1),
        ("order: dict", "order['a']", 1),
        ("order", "order", 1),
        ("slug: dict", "{'$in': slug}", 0),
        ("slug: dict", "{'$not': slug}", 1),
        ("slug: str", "'a', '$where': 'this.a == ' + slug", 1),
    ],
)
def test_what_a_framework_takes_as_texts_alone_brings_no_operator(
    given: str, asked: str, found: int
) -> None:
    code = f"@app.post('/a')\nasync def f({given}):\n    return await db.a.find_one({{'a': {asked}}})\n"
    assert told({"main.py": _API + code}, "DF-019") == found


def test_a_part_of_a_path_is_a_text() -> None:
    for pattern, found in (("/a/{slug}", 0), ("/a/{other}", 1)):
        code = f"@app.get('{pattern}')\nasync def f(slug):\n    return await db.a.find_one({{'a': slug}})\n"
        assert told({"main.py": _API + code}, "DF-019") == found


@pytest.mark.parametrize(("more", "severity"), [("", "critical"), ("Enabled: true", "medium")])
def test_a_search_that_asks_for_a_password_is_not_open(more: str, severity: str) -> None:
    policy = "{Statement: [{Effect: Allow, Principal: '*', Action: 'es:*', Resource: '*'}]}"
    properties = f"AccessPolicies: {policy}\nAdvancedSecurityOptions: {{{more}}}"
    found = findings(resource("AWS::OpenSearchService::Domain", properties), "DATA-072")
    assert [each.severity for each in found] == [severity]


@pytest.mark.parametrize(
    ("path", "found"),
    [("/metrics", 1), ("/review/metrics", 1), ("/pools/metrics/{chain}", 0), ("/admin/{id}", 1)],
)
def test_metrics_of_something_are_not_those_of_the_inside(path: str, found: int) -> None:
    files = function(event=f"Type: Api\nProperties: {{Path: '{path}', Method: get}}")
    assert told(files, "API-003") == found
