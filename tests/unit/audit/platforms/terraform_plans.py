"""Plans of Terraform as `terraform show -json` prints them before anything exists, with answers.

A value that refers to what is not there yet is in no plan: only its expression is, in the
configuration. Of a data source that can be read only then, the plan has what is known of it.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Ref(NamedTuple):
    """An expression that refers to others; with a value where that is known when planning."""

    to: tuple[str, ...]
    known: Any = None


def ref(*to: str, known: Any = None) -> Ref:
    """Return an expression: Terraform names an attribute, then the resource that has it."""
    every: list[str] = []
    for each in to:
        every.append(each)
        parts = each.split(".")
        owner = 3 if parts[0] == "data" else 2
        if parts[0] not in ("var", "each", "count", "local") and len(parts) > owner:
            every.append(".".join(parts[:owner]))
    return Ref(tuple(every), known)


class Made(NamedTuple):
    """One resource or data source."""

    address: str
    values: dict[str, Any]
    keys: tuple[str | int, ...] = ()
    """Of `for_each` or `count`."""
    sensitive: tuple[str, ...] = ()
    actions: tuple[str, ...] = ("create",)
    after: Any = None


def _has_reference(value: Any) -> bool:
    if isinstance(value, Ref):
        return True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_has_reference(each) for each in inner)


def _expression(value: Any) -> Any:
    if isinstance(value, Ref):
        return {"references": list(value.to)}
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return [{key: _expression(each) for key, each in one.items()} for one in value]
    if isinstance(value, list | dict) and _has_reference(value):
        inner = value.values() if isinstance(value, dict) else value
        named = [name for each in inner if isinstance(each, Ref) for name in each.to]
        return {"references": named}
    return {"constant_value": value}


def _planned(value: Any, key: str | int | None) -> Any:
    if isinstance(value, Ref):
        known = value.known
        return known.replace("KEY", str(key)) if isinstance(known, str) else known
    if isinstance(value, dict):
        known = {name: _planned(each, key) for name, each in value.items()}
        return {name: each for name, each in known.items() if each is not None}
    if isinstance(value, list):
        return [_planned(each, key) for each in value]
    return value.replace("KEY", str(key)) if isinstance(value, str) else value


def _unknown(value: Any) -> Any:
    """Return what `after_unknown` has of a value."""
    if isinstance(value, Ref):
        return value.known is None
    if isinstance(value, dict):
        found = {key: _unknown(each) for key, each in value.items()}
        return {key: each for key, each in found.items() if each}
    if isinstance(value, list):
        return [_unknown(each) for each in value]
    return False


def _parts(address: str) -> tuple[str, str, str]:
    mode = "data" if address.startswith("data.") else "managed"
    kind, _, name = address.removeprefix("data.").partition(".")
    return mode, kind, name


class Module(NamedTuple):
    """A call of a module."""

    resources: tuple[Made, ...]
    given: dict[str, Any]
    outputs: dict[str, Ref]
    keys: tuple[str | int, ...] = ()


def _configured(resources: tuple[Made, ...]) -> list[dict[str, Any]]:
    out = []
    for each in resources:
        if each.actions == ("delete",):
            continue
        mode, kind, name = _parts(each.address)
        out.append(
            {
                "address": each.address,
                "mode": mode,
                "type": kind,
                "name": name,
                "provider_config_key": "aws",
                "expressions": {key: _expression(value) for key, value in each.values.items()},
                "schema_version": 0,
            }
        )
        if each.keys:
            what = "count_expression" if isinstance(each.keys[0], int) else "for_each_expression"
            out[-1][what] = {"references": ["local.names"]}
    return out


def _index(key: str | int | None) -> str:
    return "" if key is None else f"[{json.dumps(key)}]"


def _instances(resources: tuple[Made, ...], prefix: str) -> list[dict[str, Any]]:
    out = []
    for each in resources:
        if each.actions == ("delete",):
            continue
        mode, kind, name = _parts(each.address)
        for key in each.keys or (None,):
            out.append(
                {
                    "address": f"{prefix}{each.address}{_index(key)}",
                    "mode": mode,
                    "type": kind,
                    "name": name,
                    "provider_name": "registry.terraform.io/hashicorp/aws",
                    "schema_version": 0,
                    "values": _planned(each.values, key),
                    "sensitive_values": dict.fromkeys(each.sensitive, True),
                }
            )
            if key is not None:
                out[-1]["index"] = key
    return out


def plan(
    *resources: Made,
    modules: dict[str, Module] | None = None,
    prior: tuple[Made, ...] = (),
    variables: dict[str, Any] | None = None,
) -> str:
    """Return a plan as text."""
    modules = modules or {}
    children, changes = [], []
    for name, module in modules.items():
        for key in module.keys or (None,):
            address = f"module.{name}{_index(key)}"
            instances = _instances(module.resources, f"{address}.")
            children.append({"address": address, "resources": instances})
    for each in resources:
        mode, kind, name = _parts(each.address)
        known = None if each.actions == ("delete",) else _planned(each.values, None)
        before = each.after if each.actions != ("create",) else None
        change = {
            "actions": list(each.actions),
            "before": before,
            "after": known,
            "after_unknown": _unknown(each.values),
        }
        changes.append(
            {"address": each.address, "mode": mode, "type": kind, "name": name, "change": change}
        )
    state = _instances(prior, "")
    return json.dumps(
        {
            "format_version": "1.2",
            "terraform_version": "1.9.8",
            "variables": {name: {"value": value} for name, value in (variables or {}).items()},
            "planned_values": {
                "outputs": {"url": {"sensitive": False}},
                "root_module": {
                    "resources": _instances(resources, ""),
                    "child_modules": children,
                },
            },
            "resource_changes": changes,
            "output_changes": {"url": {"actions": ["create"], "after_unknown": True}},
            "prior_state": {
                "format_version": "1.0",
                "terraform_version": "1.9.8",
                "values": {"outputs": {}, "root_module": {"resources": state}},
            },
            "configuration": {
                "provider_config": {"aws": {"name": "aws"}},
                "root_module": {
                    "resources": _configured((*resources, *prior)),
                    "variables": {name: {"sensitive": True} for name in variables or {}},
                    "module_calls": {
                        name: {
                            "source": f"./{name}",
                            "expressions": {k: _expression(v) for k, v in each.given.items()},
                            "module": {
                                "resources": _configured(each.resources),
                                "outputs": {
                                    k: {"expression": _expression(v)}
                                    for k, v in each.outputs.items()
                                },
                                "variables": {k: {} for k in each.given},
                            },
                        }
                        for name, each in modules.items()
                    },
                },
            },
            "relevant_attributes": [],
            "errored": False,
        }
    )


class Answer(NamedTuple):
    """What is known of a function of a plan."""

    reach: str
    triggers: frozenset[str]
    may: frozenset[tuple[str, str]] = frozenset()
    """Actions, and what stands in the resource of each."""


class Case(NamedTuple):
    """A plan and what there is to be found in it."""

    plan: str
    functions: dict[str, Answer]
    told: frozenset[tuple[str, str]] = frozenset()
    """Rules, and a word of the text."""
    silent: frozenset[str] = frozenset()
    """Rules that would be wrong here."""
    noted: frozenset[str] = frozenset()
    """Words of notes that there have to be: what only the deployment knows."""


def _answer(reach: str, *triggers: str, may: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(reach, frozenset(triggers), frozenset(may))


_LAMBDA = {"runtime": "python3.13", "handler": "app.handler", "timeout": 10, "memory_size": 256}
_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"Service": "lambda.amazonaws.com"},
            }
        ],
    }
)


def function(name: str, role: str = "f", **more: Any) -> Made:
    """Return a function."""
    keys = more.pop("keys", ())
    values = {
        "function_name": name,
        **_LAMBDA,
        "role": ref(f"aws_iam_role.{role}.arn"),
        "filename": "build/app.zip",
        **more,
    }
    return Made(f"aws_lambda_function.{name.removesuffix('-KEY')}", values, keys)


def role(name: str = "f", **more: Any) -> Made:
    """Return a role for functions."""
    return Made(f"aws_iam_role.{name}", {"name": name, "assume_role_policy": _TRUST, **more})


def document(name: str, *statements: dict[str, Any]) -> Made:
    """Return a policy document that can be read only when what it names is there."""
    address = f"data.aws_iam_policy_document.{name}"
    return Made(address, {"statement": list(statements)}, actions=("read",))


def policy_of(data: str, role: str = "f", name: str = "p") -> Made:
    """Return the policy of a role that a document is."""
    json_of = ref(f"data.aws_iam_policy_document.{data}.json")
    values = {"name": name, "role": ref(f"aws_iam_role.{role}.id"), "policy": json_of}
    return Made(f"aws_iam_role_policy.{name}", values)


def permission(function: str, principal: str, **more: Any) -> Made:
    """Return who may call a function."""
    keys = more.pop("keys", ())
    values = {
        "action": "lambda:InvokeFunction",
        "principal": principal,
        "function_name": ref(f"aws_lambda_function.{function}.function_name", known=function),
        **more,
    }
    return Made(f"aws_lambda_permission.{principal.partition('.')[0]}", values, keys)


_HTTP = plan(
    role(),
    function("orders", environment=[{"variables": {"TABLE": ref("aws_dynamodb_table.t.name")}}]),
    Made("aws_dynamodb_table.t", {"name": "orders", "hash_key": "id"}),
    document(
        "d",
        {
            "effect": "Allow",
            "actions": ["dynamodb:PutItem", "dynamodb:GetItem"],
            "resources": [ref("aws_dynamodb_table.t.arn")],
        },
    ),
    policy_of("d"),
    Made("aws_apigatewayv2_api.a", {"name": "a", "protocol_type": "HTTP"}),
    Made(
        "aws_apigatewayv2_authorizer.j",
        {"api_id": ref("aws_apigatewayv2_api.a.id"), "authorizer_type": "JWT", "name": "j"},
    ),
    Made(
        "aws_apigatewayv2_integration.i",
        {
            "api_id": ref("aws_apigatewayv2_api.a.id"),
            "integration_type": "AWS_PROXY",
            "integration_uri": ref("aws_lambda_function.orders.invoke_arn"),
        },
    ),
    Made(
        "aws_apigatewayv2_route.read",
        {
            "api_id": ref("aws_apigatewayv2_api.a.id"),
            "route_key": "GET /orders/{id}",
            "target": ref("aws_apigatewayv2_integration.i.id"),
            "authorization_type": "JWT",
            "authorizer_id": ref("aws_apigatewayv2_authorizer.j.id"),
        },
    ),
    Made(
        "aws_apigatewayv2_route.write",
        {
            "api_id": ref("aws_apigatewayv2_api.a.id"),
            "route_key": "POST /orders",
            "target": ref("aws_apigatewayv2_integration.i.id"),
            "authorization_type": "NONE",
        },
    ),
    permission("orders", "apigateway.amazonaws.com"),
)

_EACH = plan(
    role(),
    function("job-KEY", keys=("day", "night")),
    Made(
        "aws_iam_role_policy.all",
        {
            "role": ref("aws_iam_role.f.name", known="f"),
            "policy": json.dumps(
                {"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
            ),
        },
    ),
    Made(
        "aws_cloudwatch_event_rule.r",
        {"name": "KEY", "schedule_expression": "rate(1 day)"},
        ("day", "night"),
    ),
    Made(
        "aws_cloudwatch_event_target.t",
        {
            "rule": ref("aws_cloudwatch_event_rule.r", "each.key", known="KEY"),
            "arn": ref("aws_lambda_function.job", "each.key"),
        },
        ("day", "night"),
    ),
    permission(
        "job",
        "events.amazonaws.com",
        keys=("day", "night"),
        function_name=ref("aws_lambda_function.job", "each.key", known="job-KEY"),
    ),
)

_MODULE = plan(
    Made(
        "aws_sqs_queue.in",
        {"name": "in", "redrive_policy": ref("aws_sqs_queue.dead.arn"), "kms_master_key_id": "k"},
    ),
    Made("aws_sqs_queue.dead", {"name": "dead", "sqs_managed_sse_enabled": True}),
    Made("aws_dynamodb_table.t", {"name": "t", "hash_key": "id"}),
    Made(
        "aws_lambda_event_source_mapping.m",
        {
            "event_source_arn": ref("aws_sqs_queue.in.arn"),
            "function_name": Ref(("module.worker.arn", "module.worker")),
            "function_response_types": ["ReportBatchItemFailures"],
        },
    ),
    modules={
        "worker": Module(
            (
                role(),
                function("work"),
                document(
                    "d",
                    {
                        "actions": ["sqs:ReceiveMessage", "sqs:DeleteMessage"],
                        "resources": [ref("var.queue")],
                    },
                    {"actions": ["dynamodb:UpdateItem"], "resources": [ref("var.table")]},
                ),
                policy_of("d"),
            ),
            {"queue": ref("aws_sqs_queue.in.arn"), "table": ref("aws_dynamodb_table.t.arn")},
            {"arn": ref("aws_lambda_function.work.arn")},
        )
    },
)

_REST_ID = ref("aws_api_gateway_rest_api.a.id")
_REST = plan(
    role(),
    function("f", publish=True),
    Made(
        "aws_lambda_alias.live",
        {
            "name": "live",
            "function_name": ref("aws_lambda_function.f.arn"),
            "function_version": "1",
        },
    ),
    Made("aws_api_gateway_rest_api.a", {"name": "a", "endpoint_configuration": []}),
    Made(
        "aws_api_gateway_resource.users",
        {
            "rest_api_id": _REST_ID,
            "parent_id": ref("aws_api_gateway_rest_api.a.root_resource_id"),
            "path_part": "users",
        },
    ),
    Made(
        "aws_api_gateway_resource.user",
        {
            "rest_api_id": _REST_ID,
            "parent_id": ref("aws_api_gateway_resource.users.id"),
            "path_part": "{id}",
        },
    ),
    *(
        each
        for name, resource, verb, kind in (
            ("list", "users", "GET", "CUSTOM"),
            ("drop", "user", "DELETE", "NONE"),
        )
        for each in (
            Made(
                f"aws_api_gateway_method.{name}",
                {
                    "rest_api_id": _REST_ID,
                    "resource_id": ref(f"aws_api_gateway_resource.{resource}.id"),
                    "http_method": verb,
                    "authorization": kind,
                    "api_key_required": False,
                },
            ),
            Made(
                f"aws_api_gateway_integration.{name}",
                {
                    "rest_api_id": _REST_ID,
                    "resource_id": ref(f"aws_api_gateway_resource.{resource}.id"),
                    "http_method": ref(f"aws_api_gateway_method.{name}.http_method", known=verb),
                    "type": "AWS_PROXY",
                    "integration_http_method": "POST",
                    "uri": ref("aws_lambda_alias.live.invoke_arn"),
                },
            ),
        )
    ),
    Made("aws_api_gateway_deployment.d", {"rest_api_id": _REST_ID}),
    Made(
        "aws_api_gateway_stage.s",
        {
            "rest_api_id": _REST_ID,
            "deployment_id": ref("aws_api_gateway_deployment.d.id"),
            "stage_name": "live",
            "xray_tracing_enabled": True,
        },
    ),
)

_URL = plan(
    role(),
    function("shop"),
    Made(
        "aws_lambda_function_url.u",
        {
            "function_name": ref("aws_lambda_function.shop.function_name", known="shop"),
            "authorization_type": "NONE",
            "cors": [{"allow_origins": ["*"], "allow_methods": ["*"], "allow_credentials": True}],
        },
    ),
    permission("shop", "*", action="lambda:InvokeFunctionUrl", function_url_auth_type="NONE"),
    Made(
        "aws_iam_role_policy_attachment.a",
        {
            "role": ref("aws_iam_role.f.name", known="f"),
            "policy_arn": "arn:aws:iam::aws:policy/AdministratorAccess",
        },
    ),
)

_READ_ALL = {
    "Effect": "Allow",
    "Principal": "*",
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::pictures/*",
}
_BUCKET = plan(
    role(),
    function("thumbnails"),
    Made("aws_s3_bucket.b", {"bucket": "pictures", "force_destroy": True}),
    Made(
        "aws_s3_bucket_public_access_block.b",
        {"bucket": ref("aws_s3_bucket.b.id"), "block_public_acls": True},
    ),
    Made(
        "aws_s3_bucket_notification.n",
        {
            "bucket": ref("aws_s3_bucket.b.id"),
            "lambda_function": [
                {
                    "lambda_function_arn": ref("aws_lambda_function.thumbnails.arn"),
                    "events": ["s3:ObjectCreated:*"],
                    "filter_prefix": "in/",
                }
            ],
        },
    ),
    Made(
        "aws_s3_bucket_policy.p",
        {
            "bucket": ref("aws_s3_bucket.b.id"),
            "policy": ref(
                "data.aws_iam_policy_document.open.json",
                known=json.dumps({"Version": "2012-10-17", "Statement": [_READ_ALL]}),
            ),
        },
    ),
    permission("thumbnails", "s3.amazonaws.com", source_arn=ref("aws_s3_bucket.b.arn")),
    document(
        "mine",
        {
            "actions": ["s3:GetObject", "s3:PutObject"],
            "resources": [ref("aws_s3_bucket.b.arn")],
        },
    ),
    Made(
        "aws_iam_policy.mine",
        {"name": "mine", "policy": ref("data.aws_iam_policy_document.mine.json")},
    ),
    Made(
        "aws_iam_role_policy_attachment.mine",
        {
            "role": ref("aws_iam_role.f.name", known="f"),
            "policy_arn": ref("aws_iam_policy.mine.arn"),
        },
    ),
    prior=(Made("data.aws_iam_policy_document.open", {"json": json.dumps(_READ_ALL)}),),
)

_SECRETS = plan(
    role(),
    function(
        "f",
        environment=[
            {"variables": {"DB_PASSWORD": ref("var.password", known="correct-horse-42-battery")}}
        ],
    ),
    Made(
        "aws_db_instance.given",
        {
            "identifier": "given",
            "password": ref("var.password", known="correct-horse-42-battery"),
            "storage_encrypted": True,
        },
        sensitive=("password",),
    ),
    Made(
        "aws_db_instance.written",
        {"identifier": "written", "password": "hunter2-hunter2-9", "storage_encrypted": True},
        sensitive=("password",),
    ),
    Made("random_password.r", {"length": 32}),
    Made(
        "aws_db_instance.random",
        {
            "identifier": "random",
            "password": ref("random_password.r.result"),
            "publicly_accessible": True,
        },
        sensitive=("password",),
    ),
    variables={"password": "correct-horse-42-battery"},
)

_REPLACED = plan(
    role(),
    function("f"),
    Made(
        "aws_s3_bucket.old",
        {"bucket": "old", "acl": "public-read"},
        actions=("delete",),
        after={"bucket": "old", "acl": "public-read"},
    ),
    Made(
        "aws_sns_topic.t",
        {"name": "t", "kms_master_key_id": "alias/aws/sns"},
        actions=("delete", "create"),
        after={"name": "t"},
    ),
    Made(
        "aws_sns_topic_subscription.s",
        {
            "topic_arn": ref("aws_sns_topic.t.arn"),
            "protocol": "lambda",
            "endpoint": ref("aws_lambda_function.f.arn"),
        },
    ),
    prior=(
        Made("aws_lambda_function.f", {"function_name": "f", "runtime": "python3.6"}),
        Made("aws_s3_bucket.old", {"bucket": "old", "acl": "public-read"}),
    ),
)

_LAYERS = plan(
    role(),
    function(
        "f",
        layers=[
            "arn:aws:lambda:eu-west-1:555566667777:layer:theirs:3",
            ref("aws_lambda_layer_version.mine.arn"),
        ],
        tracing_config=[{"mode": "Active"}],
    ),
    Made("aws_lambda_layer_version.mine", {"layer_name": "mine", "filename": "layer.zip"}),
    Made("aws_sqs_queue.failed", {"name": "failed", "sqs_managed_sse_enabled": True}),
    Made(
        "aws_lambda_function_event_invoke_config.c",
        {
            "function_name": ref("aws_lambda_function.f.function_name", known="f"),
            "maximum_retry_attempts": 1,
            "destination_config": [
                {"on_failure": [{"destination": ref("aws_sqs_queue.failed.arn")}]}
            ],
        },
    ),
    Made("aws_cloudwatch_log_group.g", {"name": "/aws/lambda/f", "retention_in_days": 30}),
    Made("aws_cloudwatch_event_bus.bus", {"name": "shop"}),
    Made(
        "aws_cloudwatch_event_rule.r",
        {
            "name": "paid",
            "event_bus_name": ref("aws_cloudwatch_event_bus.bus.name", known="shop"),
            "event_pattern": '{"source": ["shop"]}',
        },
    ),
    Made(
        "aws_cloudwatch_event_target.t",
        {
            "rule": ref("aws_cloudwatch_event_rule.r.name", known="paid"),
            "event_bus_name": "shop",
            "arn": ref("aws_lambda_function.f.arn"),
        },
    ),
)

_QUEUES = plan(
    role(),
    function("f"),
    Made("aws_sns_topic.t", {"name": "t"}),
    Made("aws_sqs_queue.q", {"name": "q", "sqs_managed_sse_enabled": True}),
    Made("aws_sqs_queue.dead", {"name": "dead", "sqs_managed_sse_enabled": True}),
    Made(
        "aws_sqs_queue_redrive_policy.q",
        {
            "queue_url": ref("aws_sqs_queue.q.id"),
            "redrive_policy": ref("aws_sqs_queue.dead.arn"),
        },
    ),
    document(
        "open",
        {
            "effect": "Allow",
            "actions": ["sqs:SendMessage"],
            "resources": [ref("aws_sqs_queue.q.arn")],
            "principals": [{"type": "*", "identifiers": ["*"]}],
        },
    ),
    Made(
        "aws_sqs_queue_policy.q",
        {
            "queue_url": ref("aws_sqs_queue.q.id"),
            "policy": ref("data.aws_iam_policy_document.open.json"),
        },
    ),
    document(
        "topic",
        {
            "actions": ["sns:Publish"],
            "resources": [ref("aws_sns_topic.t.arn")],
            "principals": [{"type": "AWS", "identifiers": ["*"]}],
            "condition": [
                {"test": "StringEquals", "variable": "AWS:SourceOwner", "values": ["123456789012"]}
            ],
        },
    ),
    Made(
        "aws_sns_topic_policy.t",
        {
            "arn": ref("aws_sns_topic.t.arn"),
            "policy": ref("data.aws_iam_policy_document.topic.json"),
        },
    ),
    Made(
        "aws_lambda_event_source_mapping.m",
        {
            "event_source_arn": ref("aws_sqs_queue.q.arn"),
            "function_name": ref("aws_lambda_function.f.arn"),
        },
    ),
    Made(
        "aws_iam_role_policy_attachment.a",
        {
            "role": ref("aws_iam_role.f.name", known="f"),
            "policy_arn": "arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole",
        },
    ),
)

_WORKFLOW = plan(
    role(),
    role("states"),
    function("step"),
    function("late"),
    Made(
        "aws_sfn_state_machine.m",
        {
            "name": "m",
            "role_arn": ref("aws_iam_role.states.arn"),
            "definition": ref("aws_lambda_function.step.arn"),
        },
    ),
    Made(
        "aws_scheduler_schedule.s",
        {
            "name": "s",
            "schedule_expression": "rate(1 hour)",
            "flexible_time_window": [{"mode": "OFF"}],
            "target": [
                {
                    "arn": ref("aws_lambda_function.late.arn"),
                    "role_arn": ref("aws_iam_role.states.arn"),
                }
            ],
        },
    ),
    Made(
        "aws_iam_role_policy.p",
        {
            "role": ref("aws_iam_role.f.id"),
            "policy": ref("aws_sfn_state_machine.m.arn"),
        },
    ),
)

_PASSING = plan(
    role("f", managed_policy_arns=["arn:aws:iam::aws:policy/AmazonS3FullAccess"]),
    role(
        "any",
        assume_role_policy=ref("data.aws_iam_policy_document.trust.json"),
        inline_policy=[
            {
                "name": "i",
                "policy": json.dumps(
                    {
                        "Statement": {
                            "Effect": "Allow",
                            "Action": "secretsmanager:GetSecretValue",
                            "Resource": "*",
                        }
                    }
                ),
            }
        ],
    ),
    document(
        "trust",
        {
            "actions": ["sts:AssumeRole"],
            "principals": [
                {"type": "AWS", "identifiers": ["*"]},
                {"type": "Service", "identifiers": ["lambda.amazonaws.com"]},
            ],
        },
    ),
    function("f"),
    function("g", role="any"),
    Made("aws_kms_key.k", {"description": "k"}),
    document(
        "d",
        {"actions": ["iam:PassRole", "lambda:CreateFunction"], "resources": ["*"]},
        {"actions": ["kms:Decrypt"], "resources": [ref("aws_kms_key.k.arn")]},
        {"effect": "Deny", "actions": ["s3:DeleteBucket"], "resources": ["*"]},
    ),
    policy_of("d"),
)

_COUNTED = plan(
    role(),
    Made(
        "aws_lambda_function.f",
        {
            "function_name": "f",
            **_LAMBDA,
            "role": ref("aws_iam_role.f.arn"),
            "image_uri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/f:latest",
            "package_type": "Image",
        },
        (0,),
    ),
    Made(
        "aws_lambda_function_url.u",
        {
            "function_name": Ref(
                (
                    "aws_lambda_function.f[0].function_name",
                    "aws_lambda_function.f[0]",
                    "aws_lambda_function.f",
                ),
            ),
            "authorization_type": "AWS_IAM",
        },
        (0,),
    ),
    modules={
        "site": Module(
            (
                role(),
                function("edge"),
                Made(
                    "aws_lambda_function_url.u",
                    {
                        "function_name": ref("aws_lambda_function.edge.arn"),
                        "authorization_type": "NONE",
                    },
                ),
            ),
            {"name": ref("each.key")},
            {},
            keys=("blue", "green"),
        )
    },
)

CASES = {
    "http": Case(
        _HTTP,
        {
            "orders": _answer(
                "public",
                "http",
                may=(("dynamodb:PutItem", "table/t"), ("dynamodb:GetItem", "table/t")),
            )
        },
        frozenset({("API-001", "POST /orders")}),
        frozenset({"API-002", "IAM-013", "IAM-014"}),
    ),
    "each": Case(
        _EACH,
        {
            "job_day": _answer("internal", "schedule", may=(("s3:*", "*"),)),
            "job_night": _answer("internal", "schedule", may=(("s3:*", "*"),)),
        },
        frozenset({("IAM-002", "s3:*")}),
        frozenset({"FN-018"}),
    ),
    "module": Case(
        _MODULE,
        {
            "work": _answer(
                "internal",
                "queue",
                may=(
                    ("sqs:ReceiveMessage", "queue/in"),
                    ("sqs:DeleteMessage", "queue/in"),
                    ("dynamodb:UpdateItem", "table/t"),
                ),
            )
        },
        silent=frozenset({"DATA-030", "DATA-032", "IAM-020", "IAM-014"}),
    ),
    "rest": Case(
        _REST,
        {"f": _answer("public", "http")},
        frozenset({("API-001", "DELETE /users/{id}"), ("API-012", "")}),
        frozenset({"API-002", "API-014"}),
    ),
    "url": Case(
        _URL,
        {"shop": _answer("public", "url", may=(("*", "*"),))},
        frozenset({("FN-019", "shop"), ("FN-021", "shop"), ("IAM-001", ""), ("API-007", "")}),
        frozenset({"FN-018"}),
    ),
    "bucket": Case(
        _BUCKET,
        {
            "thumbnails": _answer(
                "internal",
                "bucket",
                may=(("s3:GetObject", "bucket/b"), ("s3:PutObject", "bucket/b")),
            )
        },
        frozenset({("DATA-002", "aws_s3_bucket/b")}),
        frozenset({"DATA-003", "IAM-013", "IAM-014"}),
    ),
    "secrets": Case(
        _SECRETS,
        {"f": _answer("internal")},
        frozenset({("DATA-053", "written"), ("DATA-050", "random")}),
        frozenset({"SEC-005"}),
    ),
    "replaced": Case(
        _REPLACED,
        {"f": _answer("internal", "topic")},
        silent=frozenset({"DATA-001", "FN-001", "DATA-040"}),
    ),
    "layers": Case(
        _LAYERS,
        {"f": _answer("internal", "event")},
        frozenset({("FN-007", "theirs")}),
        frozenset({"FN-006", "FN-010", "FN-005"}),
    ),
    "queues": Case(
        _QUEUES,
        {"f": _answer("internal", "queue", may=(("sqs:ReceiveMessage", "*"),))},
        frozenset({("DATA-031", "aws_sqs_queue/q"), ("DATA-040", "aws_sns_topic/t")}),
        frozenset({"DATA-032", "DATA-041"}),
    ),
    "workflow": Case(
        _WORKFLOW,
        {"step": _answer("internal", "invoke"), "late": _answer("internal", "schedule")},
        frozenset({("DATA-090", "")}),
        noted=frozenset({"aws_iam_role_policy.p"}),
    ),
    "passing": Case(
        _PASSING,
        {
            "f": _answer(
                "internal",
                may=(
                    ("iam:PassRole", "*"),
                    ("lambda:CreateFunction", "*"),
                    ("kms:Decrypt", "key/k"),
                    ("s3:*", "*"),
                ),
            ),
            "g": _answer("internal", may=(("secretsmanager:GetSecretValue", "*"),)),
        },
        frozenset({("IAM-030", "any"), ("PRIV-010", ""), ("IAM-010", ""), ("IAM-007", "")}),
        frozenset({"IAM-012", "IAM-001"}),
    ),
    "counted": Case(
        _COUNTED,
        {
            "f_0": _answer("authenticated", "url"),
            "site_blue/aws_lambda_function/edge": _answer("public", "url"),
            "site_green/aws_lambda_function/edge": _answer("public", "url"),
        },
        frozenset({("FN-019", "site_blue"), ("FN-019", "site_green"), ("FN-008", "")}),
    ),
}
"""Thirteen plans, none of which has ever been applied."""
