"""Manifests of other platforms into the model."""

from __future__ import annotations

import json

import pytest
from tests.support.audit import application, function

from casemate.audit.auditing import applications_of
from casemate.audit.documents import Map
from casemate.audit.importers.terraform_archives import Archives
from casemate.audit.model import Platform, Reach
from casemate.audit.workspace import Workspace

SERVICE = """\
service: shop
custom:
  stage: ${opt:stage, self:provider.stage}
  names: {table: "${self:service}-${self:custom.stage}"}
  more: ${file(more.yml):inner.value}
  js: ${file(made.js):x}
provider:
  name: aws
  runtime: python3.12
  stage: ${opt:stage, 'dev'}
  timeout: 12
  environment:
    TABLE: ${self:custom.names.table}
    REGION: ${aws:region}
    MORE: ${self:custom.more}
    HOME: ${env:SHOP_HOME}
    GIVEN: ${env:SHOP_GIVEN, 'fallback'}
    RING: ${self:provider.environment.RING}
  iam:
    role:
      statements:
        - Effect: Allow
          Action: [dynamodb:PutItem]
          Resource: !GetAtt Table.Arn
      managedPolicies: [arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess]
functions:
  order-one:
    handler: src/app.handler
    events:
      - http: {method: post, path: orders, cors: true}
      - http: GET orders
      - httpApi: '*'
      - sqs: !GetAtt Jobs.Arn
      - schedule: rate(1 day)
      - stream: {type: dynamodb, arn: !GetAtt Table.StreamArn}
  admin:
    handler: src/app.admin
    timeout: 3
    iamRoleStatements:
      - Effect: Allow
        Action: s3:GetObject
        Resource: '*'
    events:
      - http: {method: get, path: admin, authorizer: aws_iam}
resources:
  - Resources:
      Table: {Type: AWS::DynamoDB::Table, Properties: {TableName: "${self:custom.names.table}"}}
  - ${file(more.yml):resources}
"""
MORE = "inner: {value: from-file}\nresources: {Resources: {Jobs: {Type: AWS::SQS::Queue}}}\n"


def service() -> object:
    files = {"serverless.yml": SERVICE, "more.yml": MORE, "src/app.py": "", "made.js": ""}
    [found] = applications_of(Workspace.of(files))
    return found


def test_variables_of_the_serverless_framework_are_resolved() -> None:
    found = service()
    f = function(found, "OrderDashoneLambdaFunction")
    values = {v.name: v.value for v in f.environment}
    assert values["TABLE"] == "shop-dev"
    assert values["REGION"] == "${AWS::Region}"
    assert values["MORE"] == "from-file"
    assert values["HOME"] == "${env:SHOP_HOME}"
    assert values["GIVEN"] == "fallback"
    told = " ".join(n.what for n in found.unresolved)
    assert "made.js is a program" in told and "SHOP_HOME" in told and "refers to itself" in told


def test_functions_events_and_roles_of_the_serverless_framework() -> None:
    found = service()
    one, admin = (
        function(found, "OrderDashoneLambdaFunction"),
        function(found, "AdminLambdaFunction"),
    )
    assert (one.timeout, admin.timeout, one.runtime) == (12, 3, "python3.12")
    assert one.entry == "src/app.py"
    assert [(t.kind, t.method, t.path, t.reach) for t in one.triggers][:3] == [
        ("http", "POST", "orders", Reach.PUBLIC),
        ("http", "GET", "orders", Reach.PUBLIC),
        ("http", "ANY", "/{proxy+}", Reach.PUBLIC),
    ]
    assert [t.kind for t in one.triggers][3:] == ["queue", "schedule", "table"]
    assert admin.reach is Reach.AUTHENTICATED
    actions = {a for s in one.permissions for a in s.actions}
    assert {"dynamodb:PutItem", "s3:Get*", "logs:PutLogEvents"} <= actions
    assert one.role == "IamRoleLambdaExecution" != admin.role
    assert {a for s in admin.permissions if s.origin == "inline" for a in s.actions} == {
        "s3:GetObject"
    }
    assert {a.name for a in found.of_kind("table", "queue")} == {"Table", "Jobs"}
    assert one.place.line == next(
        i for i, line in enumerate(SERVICE.split("\n"), 1) if "order-one" in line
    )


@pytest.mark.parametrize(
    "text",
    [
        "service: a\nprovider: aws\nfunctions: {f: 3}",
        "service: a\nprovider: {name: aws}\nfunctions: ${file(no.yml)}",
        "service: a\nprovider: {name: aws, iamRoleStatements: 3, environment: x, iam: x}\nfunctions: {f: {handler: 3, events: [{http: }, {http: []}, 7, {sns: {a: }}]}}",
        "service: a\nprovider: {name: azure}\nfunctions: {f: {handler: a.b}}",
        "service: a\nprovider: {name: aws}\ncustom: {a: '${self:custom.b}', b: '${self:custom.a}'}\nfunctions: {f: {handler: '${self:custom.a}'}}",
        "service: a\nprovider: {name: aws}\nfunctions: {f: {handler: '${${${${x}}}}', image: [1]}}\nresources: {Resources: [1], extensions: 3}",
        "service: a\nprovider: {name: aws, memorySize: '1e999'}\ncustom: {a: [b], n: '${self:custom.a.²}${self:custom.a.9}${self:custom.a.0}'}\nfunctions: {f: {handler: '${self:custom.n}', timeout: .inf}}",
        "service: a\nprovider: {name: aws}\nfunctions: [{f: {handler: a.b}}, x, '${file(../../etc/passwd)}']",
    ],
)
def test_services_that_are_wrong_are_no_crash(text: str) -> None:
    application(text, "serverless.yml")


PLAN = {
    "format_version": "1.2",
    "planned_values": {
        "root_module": {
            "resources": [
                {
                    "address": "aws_iam_role.r",
                    "mode": "managed",
                    "type": "aws_iam_role",
                    "values": {
                        "name": "r",
                        "inline_policy": [
                            {
                                "name": "i",
                                "policy": '{"Statement": {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}}',
                            }
                        ],
                    },
                },
                {
                    "address": "aws_iam_role_policy_attachment.a",
                    "mode": "managed",
                    "type": "aws_iam_role_policy_attachment",
                    "values": {
                        "role": "r",
                        "policy_arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
                    },
                },
                {
                    "address": "aws_iam_role_policy.p",
                    "mode": "managed",
                    "type": "aws_iam_role_policy",
                    "values": {
                        "policy": '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
                    },
                },
                {
                    "address": "aws_s3_bucket.b",
                    "mode": "managed",
                    "type": "aws_s3_bucket",
                    "values": {"bucket": "mine"},
                },
                {
                    "address": "aws_s3_bucket_public_access_block.b",
                    "mode": "managed",
                    "type": "aws_s3_bucket_public_access_block",
                    "values": {"bucket": "mine", "block_public_acls": True},
                },
                {
                    "address": "aws_s3_bucket_versioning.b",
                    "mode": "managed",
                    "type": "aws_s3_bucket_versioning",
                    "values": {
                        "bucket": "mine",
                        "versioning_configuration": [{"status": "Enabled"}],
                    },
                },
                {
                    "address": "aws_security_group.g",
                    "mode": "managed",
                    "type": "aws_security_group",
                    "values": {
                        "ingress": [
                            {
                                "cidr_blocks": ["0.0.0.0/0"],
                                "from_port": 22,
                                "to_port": 22,
                                "protocol": "tcp",
                            }
                        ]
                    },
                },
                {
                    "address": "aws_quantum_thing.q",
                    "mode": "managed",
                    "type": "aws_quantum_thing",
                    "values": {},
                },
            ],
            "child_modules": [
                {
                    "resources": [
                        {
                            "address": 'module.m.aws_lambda_function.f["a"]',
                            "mode": "managed",
                            "type": "aws_lambda_function",
                            "values": {
                                "function_name": "f",
                                "runtime": "python3.12",
                                "handler": "a.b",
                                "timeout": 900,
                                "reserved_concurrent_executions": -1,
                                "environment": [{"variables": {"A": "1"}}],
                                "tracing_config": [{"mode": "Active"}],
                            },
                        },
                        {
                            "address": "module.m.aws_lambda_function_url.u",
                            "mode": "managed",
                            "type": "aws_lambda_function_url",
                            "values": {"authorization_type": "NONE", "function_name": "f"},
                        },
                    ]
                }
            ],
        }
    },
    "configuration": {
        "root_module": {
            "resources": [
                {
                    "address": "aws_iam_role_policy.p",
                    "expressions": {
                        "role": {"references": ["aws_iam_role.r.id", "aws_iam_role.r"]}
                    },
                }
            ],
            "module_calls": {
                "m": {
                    "module": {
                        "resources": [
                            {
                                "address": "aws_lambda_function.f",
                                "expressions": {"role": {"references": ["aws_iam_role.r.arn"]}},
                            }
                        ]
                    }
                }
            },
        }
    },
}


def test_plans_of_terraform() -> None:
    found = application(json.dumps(PLAN), "plan.json")
    [f] = found.functions
    assert (f.runtime, f.timeout, f.concurrency, f.setting("tracing")) == (
        "python3.12",
        900,
        None,
        "Active",
    )
    assert f.environment[0].name == "A"
    assert f.reach is Reach.PUBLIC
    assets = {a.name: a.settings for a in found.assets}
    assert assets["aws_s3_bucket/b"]["versioned"] is True
    assert assets["aws_s3_bucket/b"]["blocked"] is False
    assert assets["aws_security_group/g"]["open"] == ((22, 22),)
    assert any("aws_quantum_thing" in n.what for n in found.unresolved)


def test_roles_of_a_plan_are_followed_by_its_references() -> None:
    plan = json.loads(json.dumps(PLAN))
    module = plan["planned_values"]["root_module"]["child_modules"][0]["resources"]
    plan["planned_values"]["root_module"]["resources"].append(
        {**module[0], "address": "aws_lambda_function.g"}
    )
    plan["configuration"]["root_module"]["resources"].append(
        {
            "address": "aws_lambda_function.g",
            "expressions": {"role": {"references": ["aws_iam_role.r.arn", "aws_iam_role.r"]}},
        }
    )
    found = application(json.dumps(plan), "plan.json")
    actions = {a for s in function(found, "aws_lambda_function/g").permissions for a in s.actions}
    assert {"*", "sqs:SendMessage", "s3:Get*"} <= actions


_ARCHIVES = {
    "by_folder": {"output_path": "build/a.zip", "source_dir": "./src"},
    "by_file": {"output_path": "build/a.zip", "source_file": "src/app.py"},
}


@pytest.mark.parametrize("values", _ARCHIVES.values(), ids=_ARCHIVES)
@pytest.mark.parametrize("known", [True, False])
def test_code_that_a_plan_packs_is_found(values: dict[str, str], known: bool) -> None:
    made = {"address": "data.archive_file.a", "mode": "data", "type": "archive_file"}
    f = {"function_name": "f", "handler": "app.handler", "runtime": "python3.12"}
    expressions = {"filename": {"references": ["data.archive_file.a.output_path"]}}
    plan = {
        "planned_values": {
            "root_module": {
                "resources": [
                    {
                        "address": "aws_lambda_function.f",
                        "mode": "managed",
                        "type": "aws_lambda_function",
                        "values": {**f, "filename": "build/a.zip"} if known else f,
                    }
                ]
            }
        },
        "prior_state": {"values": {"root_module": {"resources": [{**made, "values": values}]}}},
        "configuration": {
            "root_module": {
                "resources": [{"address": "aws_lambda_function.f", "expressions": expressions}]
            }
        },
    }
    found = application(json.dumps(plan), "plan.json", **{"src__app.py": "x = 1\n"})
    assert function(found, "aws_lambda_function/f").code == "src"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('["src/app"]', "src/app"),
        ('[{"path": "src/app/main.py"}]', "src/app"),
        ('"src/app"', "src/app"),
        ("[]", ""),
        ("{", ""),
        ("[" * 100_000, ""),
        ("[[1]]", ""),
    ],
)
def test_code_that_the_module_packs_is_found(query: str, expected: str) -> None:
    values = {"result": {"filename": "builds/1.zip"}, "query": {"source_path": query}}
    made = {"address": "module.m.data.external.p[0]", "mode": "data", "type": "external"}
    state = {"values": {"root_module": {"child_modules": [{"resources": [made]}]}}}
    made["values"] = values  # type: ignore[assignment]
    names = Map()
    names["filename"] = "builds/1.zip"
    Archives({"prior_state": state}).unpack(names)
    assert names["filename"] == (expected or "builds/1.zip")


def test_projects_of_casemate() -> None:
    found = application(
        '[project]\nname = "p"\n\n[function.f]\nhandler = "app:handler"\npublic = true\n\n[function.f.grants]\n'
        'buckets = [{ name = "b", actions = ["write"] }]\negress = ["api.example.com:443"]\nsecrets = ["s"]\n\n'
        '[function.f.limits]\ntimeout = "2m"\nmemory = "1GB"\n\n[[function.f.http]]\nmethod = "POST"\npath = "/x"\n\n[[function.f.queue]]\nqueue = "q"\n',
        "casemate.toml",
        **{"app.py": ""},
    )
    f = function(found, "f")
    assert (found.platform, f.timeout, f.memory, f.concurrency) == (
        Platform.CASEMATE,
        120,
        1024,
        16,
    )
    assert f.place.line == 4
    assert {(s.actions, s.resources) for s in f.permissions} == {
        (("bucket:write",), ("bucket/b",)),
        (("egress:connect",), ("egress/api.example.com:443",)),
        (("secret:read",), ("secret/s",)),
    }
    assert [(t.kind, t.reach.value, t.place.line) for t in f.triggers][:2] == [
        ("http", "public", 17),
        ("queue", "internal", 21),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "function = 3",
        "[function]\na = 1",
        "[function.a]\ngrants = 3\nhttp = 1\nlimits = []\n",
        "a = " + "[" * 300 + "]" * 300,
        "[function.a.limits]\nconcurrency = inf\n",
        "[function.a.limits]\nconcurrency = nan\n[[function.a.http]]\nmethod = -inf\n",
        '[function.a.limits]\nmemory = "1e999MB"\ntimeout = "1e999s"\n',
        f"function.a.public = 0x{'f' * 5000}\n[project]\nname = 0x{'f' * 5000}\n",
    ],
)
def test_projects_that_are_wrong_are_no_crash(text: str) -> None:
    list(applications_of(Workspace.of({"casemate.toml": text})))


def test_stacks_of_openfaas_and_services_of_knative() -> None:
    stack = application(
        "provider: {name: openfaas}\nfunctions:\n  f: {lang: python3, handler: ./f, image: a:1, environment: {exec_timeout: 2m, write_debug: true}, limits: {memory: 128Mi}}\n",
        "stack.yml",
        **{"f/handler.py": ""},
    )
    f = function(stack, "f")
    assert (f.timeout, f.memory, f.reach, f.setting("debug")) == (120, 128, Reach.PUBLIC, True)
    text = "apiVersion: v1\nkind: ConfigMap\n---\napiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: k, labels: {networking.knative.dev/visibility: cluster-local}}\nspec: {template: {spec: {containers: [{image: a, env: [{name: A, value: b}, {name: S, valueFrom: x}]}]}}}\n"
    # Beside the service, the map of settings is one of Kubernetes' own.
    knative, kubernetes = applications_of(Workspace.of({"k.yaml": text}))
    assert (kubernetes.platform, kubernetes.functions) == (Platform.KUBERNETES, ())
    k = function(knative, "k")
    assert (k.reach, k.environment[0].name, len(k.environment)) == (Reach.INTERNAL, "A", 1)


def test_functions_of_google_and_code_alone() -> None:
    code = "import functions_framework\n\n@functions_framework.http\ndef hello(request):\n    return ''\n\n@functions_framework.cloud_event\ndef told(event):\n    pass\n"
    [found] = applications_of(Workspace.of({"main.py": code}))
    assert [(f.name, f.triggers[0].kind, f.place.line) for f in found.functions] == [
        ("hello", "http", 4),
        ("told", "event", 8),
    ]
    [alone] = applications_of(Workspace.of({"a.py": "x = 1\n"}))
    assert (alone.platform, alone.functions[0].files) == (Platform.CODE, ("a.py",))
    assert list(applications_of(Workspace.of({"README.md": "x"}))) == []


@pytest.mark.parametrize("endless", ["Infinity", "-Infinity", "NaN", '"inf"', '"1e999"', "9" * 400])
def test_numbers_without_an_end_are_not_known(endless: str) -> None:
    template = (
        '{"Resources": {"L": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": '
        '"/aws/lambda/${F}", "RetentionInDays": #}}, "F": {"Type": "AWS::Lambda::Function", '
        '"Properties": {"MemorySize": #, "Timeout": #, "ReservedConcurrentExecutions": #}}}\t}'
    )
    f = function(application(template.replace("#", endless), "t.json"), "F")
    assert (f.memory, f.concurrency, f.logging.retention_days) == (None, None, None)


def test_limits_of_containers_without_an_end_are_not_known() -> None:
    text = "apiVersion: serving.knative.dev/v1\nkind: Service\nspec: {template: {metadata: {annotations: {autoscaling.knative.dev/max-scale: inf}}, spec: {containers: [{resources: {limits: {memory: 1e999Gi}}}]}}}\n"
    [k] = application(text, "k.yaml").functions
    assert (k.memory, k.concurrency) == (None, None)
    text = "provider: {name: openfaas}\nfunctions:\n  f: {lang: python3, handler: ./f, limits: {memory: 1e999Gi}, environment: {exec_timeout: 1e999h}}\n"
    [f] = application(text, "stack.yml").functions
    assert (f.memory, f.timeout) == (None, None)


def test_settings_of_methods_in_a_plan_are_those_of_their_stage() -> None:
    rest: dict[str, object] = {"rest_api_id": {"references": ["aws_api_gateway_rest_api.a.id"]}}
    resources: list[tuple[str, str, dict[str, object], dict[str, object]]] = [
        ("aws_api_gateway_rest_api", "a", {}, {})
    ]
    for name in ("open", "named", "referred"):
        resources.append(("aws_api_gateway_stage", name, {"stage_name": name}, rest))
    settings: dict[str, object] = {"settings": [{"throttling_rate_limit": 5}]}
    stage = {"stage_name": {"references": ["aws_api_gateway_stage.referred.stage_name"]}}
    other: dict[str, object] = {"rest_api_id": {"references": ["aws_api_gateway_rest_api.b.id"]}}
    attached: list[tuple[str, dict[str, object], dict[str, object]]] = [
        ("1", {"stage_name": "named", **settings}, rest),
        ("2", settings, {**rest, **stage}),
        ("3", {"stage_name": "open", **settings}, other),
        ("4", settings, {}),
    ]
    for name, values, expressions in attached:
        resources.append(("aws_api_gateway_method_settings", name, values, expressions))
    rows = [
        {"address": f"{kind}.{name}", "type": kind, "values": values, "expressions": expressions}
        for kind, name, values, expressions in resources
    ]
    plan = {
        "planned_values": {"root_module": {"resources": rows}},
        "configuration": {"root_module": {"resources": rows}},
    }
    found = application(json.dumps(plan), "plan.json")
    stages = {a.name.rpartition("/")[2]: a.settings.get("throttled") for a in found.assets}
    assert {name: stages[name] for name in ("open", "named", "referred")} == {
        "open": False,
        "named": True,
        "referred": True,
    }
