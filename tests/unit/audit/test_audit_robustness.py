"""No rule fails on an application of any kind, however odd, and no input makes an importer fail."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casemate.audit.auditing import _findings, applications_of
from casemate.audit.code.reading import Code
from casemate.audit.importers.aws.assets import KINDS
from casemate.audit.rule import Hit, Subject
from casemate.audit.rules import examples
from casemate.audit.rules.all import RULES
from casemate.audit.workspace import Workspace

EVERY_TYPE = json.dumps({"Resources": {f"R{i}": {"Type": kind} for i, kind in enumerate(KINDS)}})
EMPTY = json.dumps(
    {
        "Resources": {
            f"R{i}": {"Type": kind, "Properties": {}}
            for i, kind in enumerate(
                (
                    *KINDS,
                    "AWS::Serverless::Function",
                    "AWS::Lambda::Function",
                    "AWS::Lambda::Permission",
                )
            )
        }
    }
)


def failures(files: dict[str, str]) -> list[str]:
    workspace = Workspace.of(files)
    applications = list(applications_of(workspace))
    list(_findings(applications, RULES, workspace, Code(workspace), "2026-11-27"))
    return [note.what for note in workspace.notes if "failed here" in note.what]


@pytest.mark.parametrize(
    "files",
    [
        {"template.json": EVERY_TYPE},
        {"template.json": EMPTY},
        dict(examples.function()),
        dict(examples.python("import os\nx = [y for y in os.environ]")),
        dict(examples.javascript("eval(x)")),
        dict(
            examples.project(
                '[function.thing.grants]\nqueues = ["a"]\n[queue.a]\n[bucket.b]\n[table.t]\n[topic.x]'
            )
        ),
        dict(examples.stack()),
        dict(examples.service()),
        {
            "a.py": "import functions_framework\n@functions_framework.http\ndef f(r):\n    return r\n"
        },
        {
            "serverless.yml": "service: a\nprovider: {name: aws}\nfunctions: {f: {handler: a.b}}",
            "package.json": "[1]",
            "requirements.txt": "-r\n--\n==\n\\\n",
        },
    ],
)
def test_no_rule_fails_on_any_kind_of_application(files: dict[str, str]) -> None:
    assert failures(files) == []


_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 5),
        st.sampled_from(["", "*", "${A}", "${A.Arn}", "AWS_IAM", "x", "0.0.0.0/0", "s3:*"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "Ref",
                    "Fn::Sub",
                    "Fn::If",
                    "Type",
                    "Properties",
                    "Statement",
                    "Action",
                    "Events",
                    "Auth",
                    "A",
                    "Fn::GetAtt",
                    "Principal",
                ]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)
_keys = [
    "Policies",
    "Events",
    "Environment",
    "Role",
    "Layers",
    "PolicyDocument",
    "AccessControl",
    "CorsConfiguration",
    "DefinitionBody",
    "Auth",
    "Tags",
    "AssumeRolePolicyDocument",
    "KeyPolicy",
    "RedrivePolicy",
    "DistributionConfig",
    "MethodSettings",
    "SecurityGroupIngress",
    "Timeout",
    "Code",
    "Integration",
    "Targets",
    "Policy",
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["A", "B", "C"]),
        st.tuples(
            st.sampled_from(
                [
                    *KINDS,
                    "AWS::Serverless::Function",
                    "AWS::Lambda::Permission",
                    "AWS::ApiGateway::Method",
                ]
            ),
            st.dictionaries(st.sampled_from(_keys), _values, max_size=5),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_templates_of_random_shapes_are_no_crash(resources: dict[str, tuple[str, object]]) -> None:
    template = {
        "Resources": {
            name: {"Type": kind, "Properties": properties}
            for name, (kind, properties) in resources.items()
        }
    }
    assert failures({"template.json": json.dumps(template)}) == []


@pytest.mark.parametrize(
    "number", [".inf", "-.inf", ".nan", "'1e999'", "'1e308G'", "1e308", "9" * 400]
)
def test_numbers_that_no_setting_has_are_no_crash(number: str) -> None:
    lambda_function = f"Properties: {{Timeout: {number}, MemorySize: {number}, Handler: a.b}}"
    stack = f"limits: {{memory: {number}}}, environment: {{exec_timeout: {number}}}"
    files = {
        "template.yaml": f"Resources: {{F: {{Type: AWS::Lambda::Function, {lambda_function}}}}}",
        "stack.yml": f"provider: {{name: openfaas}}\nfunctions: {{f: {{lang: python3, {stack}}}}}",
    }
    assert failures(files) == []


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200))
def test_random_texts_are_no_crash(text: str) -> None:
    for name in ("casemate.toml", "template.yaml", "serverless.yml", "app.py", "requirements.txt"):
        failures({name: text, "x.yml": f"functions: {text}"})


DEEP = "+".join(["a"] * 900)


def test_an_expression_that_is_nested_deeply_hides_no_other_file() -> None:
    files = dict(examples.python("def handler(event, context):\n    assert user.is_admin\n"))
    files["src/a.py"] = f"x = 1\nassert {DEEP}\n"
    workspace = Workspace.of(files)
    found = _findings(
        list(applications_of(workspace)), RULES, workspace, Code(workspace), "2026-11-27"
    )
    assert ("PY-027", "src/app.py") in {(f.rule, f.place.file) for f in found}
    assert [n.place.file for n in workspace.notes if "nested too deeply" in n.what] == ["src/a.py"]


def test_a_rule_that_goes_too_deep_is_told_and_the_others_are_asked() -> None:
    def check(subject: Subject) -> list[Hit]:
        raise RecursionError

    workspace = Workspace.of(dict(examples.function("Runtime: python3.8")))
    rules = (msgspec.structs.replace(RULES[1], check=check), RULES[0])
    found = list(
        _findings(list(applications_of(workspace)), rules, workspace, Code(workspace), "2026-11-27")
    )
    assert [f.rule for f in found] == [RULES[0].id]
    assert [n.what for n in workspace.notes] == [
        f"the rule {RULES[1].id} failed here: RecursionError"
    ]


def spent(files: dict[str, str], *rules: str) -> float:
    workspace = Workspace.of(files)
    asked = [rule for rule in RULES if rule.id in rules]
    started = time.process_time()
    list(
        _findings(list(applications_of(workspace)), asked, workspace, Code(workspace), "9999-12-31")
    )
    return time.process_time() - started


@pytest.mark.parametrize(
    ("make", "rules"),
    [
        (lambda n: {"app.py": "print([" + "len(password),\n" * (n // 15) + "])\n"}, ["PY-006"]),
        (
            lambda n: {"app.py": "import os\nprint([" + "os.environ['A'],\n" * (n // 17) + "])\n"},
            ["PY-004"],
        ),
        (
            lambda n: {
                "app.py": "import os\ndef f():\n return ["
                + "os.environ['A'],\n" * (n // 17)
                + "]\n"
            },
            ["PY-005"],
        ),
        (
            lambda n: {
                "app.py": "try:\n pass\nexcept E as e:\n"
                + "".join(f" a{i} = str(e)\n" for i in range(n // 15))
                + " return a1\n"
            },
            ["PY-001"],
        ),
        (
            lambda n: {"app.py": "def handler(event):\n" + " print(event)\n" * (n // 14)},
            ["PY-003"],
        ),
        (
            lambda n: {
                "a.py": "",
                "package.json": json.dumps(
                    {"dependencies": {f"p{i}": "^1" for i in range(n // 12)}}, indent=0
                ),
            },
            ["DEP-003", "DEP-004", "DEP-005", "DEP-009"],
        ),
        (lambda n: {"a.py": "", "requirements.txt": "a\n" * (n // 2)}, ["DEP-001", "DEP-005"]),
        (lambda n: {"a.js": "exec('a' + b)\n" * (n // 14)}, ["JS-003", "JS-004", "JS-009"]),
        (
            lambda n: {
                "app.py": "import os\n"
                + "".join(f"def f{i}(a):\n os.system(a)\n" for i in range(n // 28))
            },
            ["PY-011"],
        ),
    ],
    ids=[
        *("logged", "environment", "returned", "aliases", "events", "npm", "pypi", "javascript"),
        "commands",
    ],
)
def test_long_files_take_time_in_proportion(
    make: Callable[[int], dict[str, str]], rules: list[str]
) -> None:
    spent(make(1_000), *rules)
    assert spent(make(200_000), *rules) < max(25 * spent(make(20_000), *rules), 1.0)


def sockets(count: int) -> dict[str, object]:
    return {
        "F": {"Type": "AWS::Lambda::Function", "Properties": {}},
        "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"ProtocolType": "WEBSOCKET"}},
        "I": {
            "Type": "AWS::ApiGatewayV2::Integration",
            "Properties": {"IntegrationUri": "${F.Arn}"},
        },
        **{
            f"R{number}": {
                "Type": "AWS::ApiGatewayV2::Route",
                "Properties": {
                    "ApiId": "${Api}",
                    "RouteKey": f"k{number}",
                    "Target": "integrations/${I}",
                },
            }
            for number in range(count)
        },
    }


def policies(count: int) -> dict[str, object]:
    return {
        f"P{number}": {"Type": "AWS::IAM::Policy", "Properties": {"Roles": [f"r{number}"]}}
        for number in range(count)
    }


def queues(count: int) -> dict[str, object]:
    return {
        f"{kind}{number}": {"Type": of}
        for kind, of in (("Q", "AWS::SQS::Queue"), ("F", "AWS::Serverless::Function"))
        for number in range(count)
    }


def folders(count: int) -> dict[str, str]:
    functions = {
        f"F{number}": {
            "Type": "AWS::Serverless::Function",
            "Properties": {"CodeUri": f"c{number}/", "InlineCode": "", "Events": {"A": {}}},
        }
        for number in range(count)
    }
    code = {f"c{number}/a.py": "" for number in range(count)}
    return {**code, "template.json": json.dumps({"Resources": functions}) + "\t"}


def plan(count: int) -> dict[str, str]:
    kinds = ("method", "integration", "stage", "method_settings")
    resources = [
        {
            "address": f"aws_api_gateway_{kind}.n{number}",
            "type": f"aws_api_gateway_{kind}",
            "values": {"resource_id": f"r{number}", "settings": [{"logging_level": "INFO"}]},
        }
        for kind in kinds
        for number in range(count)
    ]
    document = {"planned_values": {"root_module": {"resources": resources}}}
    return {"plan.json": json.dumps(document) + "\t"}


def service(count: int) -> dict[str, str]:
    functions = {f"f{number}": {"handler": "a.b", "url": {"cors": True}} for number in range(count)}
    document = {"service": "s", "provider": {"name": "aws"}, "functions": functions}
    return {"serverless.json": json.dumps(document) + "\t"}


def deliveries(count: int) -> dict[str, str]:
    """Return files of triggers and brokers, each of which may hold for all others."""
    kinds = ("Trigger", *["Broker"] * 40)
    return {
        f"f{number}.yaml": "---\n".join(
            f"apiVersion: eventing.knative.dev/v1\nkind: {kind}\n"
            f"metadata: {{name: b{number}-{at}, namespace: n}}\nspec: {{broker: x}}\n"
            for at, kind in enumerate(kinds)
        )
        for number in range(count)
    }


def template(make: Callable[[int], dict[str, object]]) -> Callable[[int], dict[str, str]]:
    return lambda count: {"template.json": json.dumps({"Resources": make(count)}) + "\t"}


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (template(sockets), 1_500),
        (template(policies), 10_000),
        (template(queues), 3_000),
        (folders, 3_000),
        (plan, 1_500),
        (service, 3_000),
        (deliveries, 150),
    ],
    ids=["sockets", "policies", "queues", "folders", "plan", "service", "deliveries"],
)
def test_large_manifests_take_time_in_proportion(
    make: Callable[[int], dict[str, str]], count: int
) -> None:
    spent(make(10), "DATA-032")
    assert spent(make(count), "DATA-032") < max(25 * spent(make(count // 10), "DATA-032"), 0.8)


def test_objects_in_objects_on_a_request_are_no_power_of_their_size() -> None:
    """A file of 4 KB took more than 100 s."""
    inner = "z"
    lines = ["const z = req.query.a"]
    for name in "abcd":
        lines.append(f"const {name} = {{{','.join(f'k{n}: {inner}' for n in range(100))}}}")
        inner = name
    code = (
        "const app = require('express')()\napp.use((req, res, next) => {\n"
        + "\n".join([*lines, "req.t = d", "req.u = d", "next()"])
        + "\n})\napp.get('/', (req, res) => { res.send(req.t.k1.k1) })\nexports.handler = app\n"
    )
    files = {"index.js": code, "package.json": '{"dependencies": {"express": "4"}}'}
    assert spent(files, "DF-002", "DF-003") < 5


@pytest.mark.parametrize("stars", ["*", "**", "*" * 100_000])
@pytest.mark.parametrize(("service", "rule"), [("", "IAM-001"), ("s3:", "IAM-002")])
def test_stars_in_a_row_hide_nothing(stars: str, service: str, rule: str) -> None:
    statement = {"Effect": "Allow", "Action": f"{service}{stars}", "Resource": stars}
    properties = {"Policies": [{"Statement": [statement]}]}
    made = {"F": {"Type": "AWS::Serverless::Function", "Properties": properties}}
    workspace = Workspace.of({"template.json": json.dumps({"Resources": made}) + "\t"})
    found = _findings(applications_of(workspace), RULES, workspace, Code(workspace), "2026-11-27")
    assert rule in {finding.rule for finding in found}


@pytest.mark.parametrize("key", ["a" + ".a" * 100_000, "\n".join(["a.b = 1"] * 200_000)])
def test_a_manifest_that_takes_its_reader_long_is_a_note(key: str) -> None:
    workspace = Workspace.of({"casemate.toml": f"{key} = 1"})
    begun = time.process_time()
    assert not list(applications_of(workspace))
    assert time.process_time() - begun < 1  # before: a minute and a half for the first
    assert [note for note in workspace.notes if "it is not TOML" in note.what]
