"""Rights that the platform itself uses with a function's role: no line of code asks for them."""

from __future__ import annotations

from casemate.audit.model import Function

_LOGS = (
    *("logs:createloggroup", "logs:createlogstream", "logs:putlogevents"),
    *("logs:describeloggroups", "logs:describelogstreams"),
)
_TRACES = (
    *("xray:puttracesegments", "xray:puttelemetryrecords", "xray:getsamplingrules"),
    *("xray:getsamplingtargets", "xray:getsamplingstatisticsummaries"),
)
_NETWORK = tuple(
    f"ec2:{each}"
    for each in (
        *("createnetworkinterface", "describenetworkinterfaces", "deletenetworkinterface"),
        *("describesubnets", "describevpcs", "describesecuritygroups"),
        *("assignprivateipaddresses", "unassignprivateipaddresses", "getsecuritygroupsforvpc"),
        *("attachnetworkinterface", "detachnetworkinterface", "describevpcendpoints"),
        *("createnetworkinterfacepermission",),
    )
)
_QUEUE = tuple(
    f"sqs:{each}"
    for each in (
        *("receivemessage", "deletemessage", "getqueueattributes", "changemessagevisibility"),
        "getqueueurl",
    )
)
_STREAM = tuple(
    f"kinesis:{each}"
    for each in (
        *("getrecords", "getsharditerator", "describestream", "describestreamsummary"),
        *("listshards", "liststreams", "subscribetoshard", "describestreamconsumer"),
    )
)
_TABLE = tuple(
    f"dynamodb:{each}"
    for each in ("getrecords", "getsharditerator", "describestream", "liststreams")
)
_OTHERS = (
    *("kafka:describecluster", "kafka:describeclusterv2", "kafka:getbootstrapbrokers"),
    *("mq:describebroker", "secretsmanager:getsecretvalue", "rds:describedbclusters"),
)
_LEFT_OVER = ("sqs:sendmessage", "sns:publish")
_FILES = (
    "elasticfilesystem:clientmount",
    "elasticfilesystem:clientwrite",
    "elasticfilesystem:clientrootaccess",
)
_KEYS = tuple(
    f"kms:{each}"
    for each in (
        *("decrypt", "generatedatakey", "encrypt", "reencryptfrom", "reencryptto"),
        *("generatedatakeywithoutplaintext", "describekey"),
    )
)
_ENCRYPTED = frozenset(
    (
        *("s3", "sqs", "sns", "dynamodb", "secretsmanager", "ssm", "kinesis", "firehose", "logs"),
        *("events", "states", "lambda", "rds-data", "athena"),
    )
)
"""Services that encrypt with keys of KMS, for which who calls them needs rights."""


def implied(function: Function, services: frozenset[str]) -> frozenset[str]:
    """Return actions, in lower case, that the platform may use for a function.

    `services` are those that the code uses: their keys may be asked for in its name.
    """
    found: set[str] = {*_LOGS, *_TRACES}
    if function.network.attached is not False:
        found |= set(_NETWORK)
    kinds = {trigger.kind for trigger in function.triggers}
    if "queue" in kinds:
        found |= set(_QUEUE)
    if kinds & {"stream", "table"}:
        found |= {*_STREAM, *_TABLE}
    if kinds & {"stream", "other"} or _brokers(function):
        found |= {*_OTHERS, *_NETWORK}
    if function.setting("dead_letters"):
        found |= {*_LEFT_OVER, "lambda:invokefunction", "events:putevents"}
    if kinds & {"stream", "table"}:
        found |= set(_LEFT_OVER)
    if function.setting("file_system"):
        found |= set(_FILES)
    polled = kinds & {"queue", "stream", "table"}
    if services & _ENCRYPTED or polled or function.setting("environment_key"):
        found |= set(_KEYS)
    return frozenset(found)


def _brokers(function: Function) -> bool:
    """Tell whether a function is granted what reading a broker of messages for it needs."""
    return any(
        action.lower().startswith(("mq:describebroker", "kafka:", "kafka-cluster:"))
        for statement in function.permissions
        for action in statement.actions
    )
