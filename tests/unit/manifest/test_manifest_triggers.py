"""Triggers, contracts and delivery of a manifest: what is taken, and mistakes with their places."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.manifest import check_received
from casemate.manifest.rejection import RejectedValueError
from casemate.manifest.trigger_kinds import Cron, DestinationText, FilterValues, JsonValue, TimeZone
from casemate.manifest.trigger_rendering import delivery_table, triggers_tables
from casemate.model.bundle import BundleManifest
from casemate.model.errors import InvalidInputError
from casemate.model.function import (
    Delivery,
    Destination,
    DestinationKind,
    EventFormat,
    FunctionSpec,
    HttpTrigger,
    event_grants,
    named_resources,
)
from casemate.model.grant import Grant, GrantKind
from casemate.model.trigger import (
    BucketTrigger,
    Missed,
    MqttTrigger,
    NatsTrigger,
    PostgresTrigger,
    QueueTrigger,
    RabbitmqTrigger,
    RepositoryTrigger,
    ResultTrigger,
    S3Trigger,
    ScheduleTrigger,
    TableTrigger,
    TopicTrigger,
    ValkeyTrigger,
    consumed,
)

DECLARED = """
[project]
name = "shop"
[queue.jobs]
[queue.done]
[topic.news]
[bucket.uploads]
[table.users]
key = "id"
[function.other]
handler = "app:handler"
[function.f]
handler = "app:handler"
"""

ALL = """
event_format = "aws"
internal = true
[[function.f.schedule]]
cron = "*/5  * * * mon-fri"
timezone = "Europe/Berlin"
data = { report = "daily", to = [1, true] }
[[function.f.schedule]]
name = "often"
every = "10s"
missed = "all"
[[function.f.queue]]
queue = "jobs"
batch = 10
window = "2s"
[[function.f.topic]]
topic = "news"
filter = { "order.kind" = ["new", 1], urgent = true }
[[function.f.bucket]]
bucket = "uploads"
events = ["deleted", "created"]
prefix = "in/"
suffix = ".png"
[[function.f.table]]
table = "users"
events = ["expired"]
[[function.f.repository]]
provider = "github"
secret = "hook-key"
events = ["push"]
branches = ["main", "release/*"]
[[function.f.result]]
function = "other"
on = ["failure"]
[[function.f.valkey]]
host = "[::1]"
port = 6379
tls = false
private = true
exception = "the one in this rack"
stream = "orders"
[[function.f.valkey]]
host = "cache.example.com"
port = 6380
keys = "session:*"
password = "cache"
[[function.f.postgres]]
host = "db.example.com"
port = 5432
database = "app"
user = "reader"
password = "db"
channel = "wake"
[[function.f.rabbitmq]]
host = "mq.example.com"
port = 5671
queue = "Any Queue"
[[function.f.mqtt]]
host = "broker.example.com"
port = 8883
topic = "sensors/+/temp/#"
qos = 2
[[function.f.nats]]
host = "nats.example.com"
port = 4222
subject = "orders.*.>"
stream = "ORDERS"
durable = "mine"
[[function.f.s3]]
secret = "s3-token"
events = ["s3:ObjectCreated:*"]
prefix = "in/"
[function.f.delivery]
attempts = 5
backoff = "2s"
on_success = ["queue:done", "function:other"]
on_failure = ["topic:news"]
"""

SPEC = FunctionSpec(
    name="f",
    handler="app:handler",
    internal=True,
    event_format=EventFormat.AWS,
    triggers=(
        ScheduleTrigger(
            name="schedule-1",
            cron="*/5 * * * mon-fri",
            timezone="Europe/Berlin",
            data='{"report":"daily","to":[1,true]}',
        ),
        ScheduleTrigger(name="often", every=10.0, missed=Missed.ALL),
        QueueTrigger(name="queue-1", queue="jobs", batch=10, window=2.0),
        TopicTrigger(
            name="topic-1",
            topic="news",
            filter={"order.kind": ("new", 1.0), "urgent": (True,)},
        ),
        BucketTrigger(
            name="bucket-1",
            bucket="uploads",
            events=("deleted", "created"),
            prefix="in/",
            suffix=".png",
        ),
        TableTrigger(name="table-1", table="users", events=("expired",)),
        RepositoryTrigger(
            name="repository-1",
            provider="github",
            secret="hook-key",
            events=("push",),
            branches=("main", "release/*"),
        ),
        ResultTrigger(name="result-1", function="other", on=("failure",)),
        ValkeyTrigger(
            name="valkey-1",
            host="::1",
            port=6379,
            tls=False,
            private=True,
            exception="the one in this rack",
            stream="orders",
        ),
        ValkeyTrigger(
            name="valkey-2",
            host="cache.example.com",
            port=6380,
            keys="session:*",
            password="cache",
        ),
        PostgresTrigger(
            name="postgres-1",
            host="db.example.com",
            port=5432,
            database="app",
            user="reader",
            password="db",
            channel="wake",
        ),
        RabbitmqTrigger(name="rabbitmq-1", host="mq.example.com", port=5671, queue="Any Queue"),
        MqttTrigger(
            name="mqtt-1",
            host="broker.example.com",
            port=8883,
            topic="sensors/+/temp/#",
            qos=2,
        ),
        NatsTrigger(
            name="nats-1",
            host="nats.example.com",
            port=4222,
            subject="orders.*.>",
            stream="ORDERS",
            durable="mine",
        ),
        S3Trigger(name="s3-1", secret="s3-token", events=("s3:ObjectCreated:*",), prefix="in/"),
    ),
    delivery=Delivery(
        attempts=5,
        backoff=2.0,
        on_success=(
            Destination(kind=DestinationKind.QUEUE, name="done"),
            Destination(kind=DestinationKind.FUNCTION, name="other"),
        ),
        on_failure=(Destination(kind=DestinationKind.TOPIC, name="news"),),
    ),
)


def test_every_kind_with_its_keys(project) -> None:
    loaded = project.load(DECLARED + ALL)
    assert loaded.function("f") == SPEC


def test_a_bundle_holds_what_they_name_and_nothing_else(project) -> None:
    loaded = project.load(DECLARED + ALL)
    spec = msgspec.structs.replace(loaded.function("f"), python="3.13")
    resources = loaded.resources.granted(named_resources(spec))
    assert [queue.name for queue in resources.queues] == ["done", "jobs"]
    assert [topic.name for topic in resources.topics] == ["news"]
    assert [bucket.name for bucket in resources.buckets] == ["uploads"]
    assert [table.name for table in resources.tables] == ["users"]
    check_received(spec, resources)
    with pytest.raises(InvalidInputError, match="does not declare"):
        check_received(spec, msgspec.structs.replace(resources, queues=()))
    bare = msgspec.structs.replace(spec, triggers=(), delivery=Delivery())
    with pytest.raises(InvalidInputError, match="not granted"):
        check_received(bare, resources)


def test_what_is_written_back_is_what_was_written(project) -> None:
    written = triggers_tables(SPEC.triggers)
    assert written["schedule"][0]["data"] == {"report": "daily", "to": [1, True]}
    assert written["valkey"][0]["host"] == "[::1]"
    assert delivery_table(SPEC.delivery)["on_success"] == ["queue:done", "function:other"]


# -- mistakes --------------------------------------------------------------------------------------


def outside(kind: str, *lines: str) -> str:
    head = [f"[[function.f.{kind}]]", 'host = "db.example.com"', "port = 5432"]
    return "\n".join([*head, *lines])


@pytest.mark.parametrize(
    ("text", "key", "found", "expected"),
    [
        ("[[function.f.schedule]]", "schedule[0]", "neither cron nor every", "exactly one"),
        (
            '[[function.f.schedule]]\ncron = "* * * * *"\nevery = "5s"',
            "schedule[0]",
            "both cron and every",
            "exactly one",
        ),
        (
            '[[function.f.schedule]]\nevery = "5s"\ntimezone = "UTC"',
            "schedule[0].timezone",
            "timezone without cron",
            "only beside cron",
        ),
        (
            '[[function.f.schedule]]\ncron = "61 * * * *"',
            "schedule[0].cron",
            '"61 * * * *"',
            "with a minute that exists",
        ),
        ('[[function.f.schedule]]\ncron = "@daily"', "schedule[0].cron", '"@daily"', "no names"),
        (
            '[[function.f.schedule]]\ncron = "rate(5 minutes)"',
            "schedule[0].cron",
            '"rate(5 minutes)"',
            'every = "5m"',
        ),
        (
            '[[function.f.schedule]]\ncron = "cron(0 12 * * ? *)"',
            "schedule[0].cron",
            '"cron(0 12 * * ? *)"',
            "without the year",
        ),
        (
            '[[function.f.schedule]]\ncron = "0 0 * * * *"',
            "schedule[0].cron",
            '"0 0 * * * *"',
            "five fields",
        ),
        (
            '[[function.f.schedule]]\ncron = "0 0 30 2 *"',
            "schedule[0].cron",
            '"0 0 30 2 *"',
            "day-of-month",
        ),
        (
            '[[function.f.schedule]]\ncron = "* * * * *"\ntimezone = "Europe/Berln"',
            "schedule[0].timezone",
            '"Europe/Berln"',
            'did you mean "Europe/Berlin"',
        ),
        (
            '[[function.f.schedule]]\nevery = "5s"\ndata = 1979-05-27',
            "schedule[0].data",
            "date or time",
            "a value that JSON has",
        ),
        ('[[function.f.queue]]\nqueue = "jbos"', "queue[0].queue", '"jbos"', 'did you mean "jobs"'),
        ('[[function.f.topic]]\ntopic = "x"', "topic[0].topic", '"x"', "[topic.x]"),
        ('[[function.f.bucket]]\nbucket = "x"', "bucket[0].bucket", '"x"', "[bucket.x]"),
        ('[[function.f.table]]\ntable = "x"', "table[0].table", '"x"', "[table.x]"),
        (
            '[[function.f.result]]\nfunction = "f"',
            "result[0].function",
            "the function itself",
            "another one",
        ),
        ('[[function.f.result]]\nfunction = "g"', "result[0].function", '"g"', "[function.g]"),
        (
            '[[function.f.queue]]\nqueue = "jobs"\nwindow = "1s"',
            "queue[0].window",
            "a window without a batch",
            "batch = 2 or more",
        ),
        (
            '[[function.f.queue]]\nqueue = "jobs"\n[[function.other.queue]]\nqueue = "jobs"',
            None,
            '"jobs", which the trigger on line',
            "one consumer for each queue",
        ),
        (
            '[[function.f.queue]]\nqueue = "jobs"\nname = "a"\n'
            '[[function.f.topic]]\ntopic = "news"\nname = "a"',
            "topic[0].name",
            '"a", as the one on line',
            "a name of its own",
        ),
        (
            outside("valkey"),
            "valkey[0]",
            "neither stream nor keys",
            "exactly one",
        ),
        (
            outside("valkey", 'keys = "a*"', 'group = "g"'),
            "valkey[0].group",
            "group without stream",
            "only beside stream",
        ),
        (
            outside("postgres", 'database = "a"', 'outbox = ""'),
            "postgres[0].channel",
            "neither an outbox nor a channel",
            "one of them",
        ),
        (
            outside("postgres", 'database = "a"', 'password = "p"'),
            "postgres[0].password",
            "password without user",
            "only beside user",
        ),
        (
            outside("nats", 'subject = "a"', 'durable = "x"'),
            "nats[0].durable",
            "durable without stream",
            "only beside stream",
        ),
        (
            outside("rabbitmq", 'queue = "q"', "tls = false"),
            "rabbitmq[0].exception",
            "tls = false without a reason",
            'exception = "why"',
        ),
        (
            outside("rabbitmq", 'queue = "q"', 'exception = "because of it"'),
            "rabbitmq[0].exception",
            "an exception where none is needed",
            "only beside",
        ),
        (
            '[[function.f.mqtt]]\nhost = "*.example.com"\nport = 1\ntopic = "a"',
            "mqtt[0].host",
            '"*.example.com"',
            "one host",
        ),
        (
            '[[function.f.mqtt]]\nhost = "10.0.0.1"\nport = 1\ntopic = "a"',
            "mqtt[0].host",
            "not on the public internet",
            "private = true",
        ),
        (
            outside("mqtt", 'topic = "a/#/b"'),
            "mqtt[0].topic",
            '"a/#/b"',
            "a topic filter",
        ),
        (
            '[[function.f.repository]]\nprovider = "github"\nsecret = "Not A Name"',
            "repository[0].secret",
            '"Not A Name"',
            "a name of",
        ),
        (
            '[function.f.delivery]\non_success = ["queue:dome"]',
            "delivery.on_success[0]",
            '"dome"',
            'did you mean "done"',
        ),
        (
            '[function.f.delivery]\non_success = ["queues:done"]',
            "delivery.on_success[0]",
            '"queues:done"',
            'did you mean "queue"',
        ),
        (
            '[function.f.delivery]\non_failure = ["function:f"]',
            "delivery.on_failure[0]",
            "the function itself",
            "never end",
        ),
        (
            '[[function.f.queue]]\nqueue = "jobs"\n'
            '[function.f.delivery]\non_success = ["queue:jobs"]',
            "delivery.on_success[0]",
            '"jobs", which the function consumes',
            "never end",
        ),
        (
            '[function.f.delivery]\nbackoff = "10s"\nbackoff_most = "1s"',
            "delivery.backoff_most",
            "less than backoff",
            "at least as much",
        ),
    ],
)
def test_mistakes(project, text: str, key: str | None, found: str, expected: str) -> None:
    problem = project.problem(DECLARED + text + "\n")
    if key is not None:
        assert problem.key == f"function.f.{key}"
    assert found in problem.found
    assert expected in problem.expected
    assert problem.line is not None


def test_hooks_are_reserved(project) -> None:
    text = '[[function.f.http]]\nmethod = "GET"\npath = "/hooks/x"\n'
    assert "/hooks" in project.problem(DECLARED + text).expected


# -- contracts -------------------------------------------------------------------------------------

CONTRACTS = """
contract = "c.json"
[[function.f.http]]
method = "POST"
path = "/x"
contract = "c.json"
asynchronous = true
[[function.f.queue]]
queue = "jobs"
contract = "schemas/job.json"
"""


def test_contracts_are_read_into_the_model(project) -> None:
    (project.root / "schemas").mkdir()
    (project.root / "c.json").write_text('{\n  "type": "object"\n}\n')
    (project.root / "schemas/job.json").write_text('{"maximum": 9}')
    spec = project.load(DECLARED + CONTRACTS).function("f")
    assert spec.contract == '{"type":"object"}'
    assert spec.http == (
        HttpTrigger(method="POST", path="/x", contract='{"type":"object"}', asynchronous=True),
    )
    assert spec.triggers[0].contract == '{"maximum":9}'
    received = msgspec.structs.replace(spec, python="3.13", triggers=())
    check_received(received)
    for text in ('{ "type":"object"}', '{"type":"x"}', '{"$ref":"http://a/"}', "x" * 2_000_000):
        with pytest.raises(InvalidInputError):
            check_received(msgspec.structs.replace(received, contract=text))


@pytest.mark.parametrize(
    ("content", "found", "expected"),
    [
        (None, "which does not exist", "an existing file"),
        (b"{", "The contract is not JSON", "correct the file"),
        (b'{"type": "x"}', "not a valid JSON Schema", "/type"),
        (b'{"$ref": "https://example.com/"}', "leads out of the contract", "copy what it refers"),
        (b"\xff", "which is not", "UTF-8"),
        (b" " * 70_000, "a larger one", "at most 64 KiB"),
    ],
)
def test_contracts_that_do_not_hold(
    project, content: bytes | None, found: str, expected: str
) -> None:
    if content is not None:
        (project.root / "c.json").write_bytes(content)
    problem = project.problem(DECLARED + 'contract = "c.json"\n')
    assert problem.key == "function.f.contract"
    told = problem.found + problem.expected
    assert found in told
    assert expected in told


def test_contracts_stay_inside_the_project(project, tmp_path) -> None:
    (tmp_path / "outside.json").write_text("{}")
    (project.root / "c.json").symlink_to(tmp_path / "outside.json")
    assert "leads out" in project.problem(DECLARED + 'contract = "c.json"\n').found
    assert '".."' in project.problem(DECLARED + 'contract = "../outside.json"\n').found
    (project.root / "c.txt").write_text("{}")
    assert "*.json" in project.problem(DECLARED + 'contract = "c.txt"\n').expected


# -- in bundles ------------------------------------------------------------------------------------

GOOD = FunctionSpec(name="f", handler="app:handler", python="3.13")


@pytest.mark.parametrize(
    "trigger",
    [
        ScheduleTrigger(name="s"),
        ScheduleTrigger(name="s", cron="* * * * *", every=5.0),
        ScheduleTrigger(name="s", cron="x"),
        ScheduleTrigger(name="s", every=float("nan")),
        ScheduleTrigger(name="s", every=1e-9),
        ScheduleTrigger(name="s", every=5.0, data="{"),
        ScheduleTrigger(name="S", every=5.0),
        ScheduleTrigger(name="", every=5.0),
        RepositoryTrigger(name="r", provider="sourceforge", secret="k"),
        RepositoryTrigger(name="r", provider="github", secret="../k"),
        ValkeyTrigger(name="v", host="127.0.0.1", port=1, stream="s"),
        ValkeyTrigger(name="v", host="a.example.com", port=0, stream="s"),
        ValkeyTrigger(name="v", host="A.example.com", port=1, stream="s"),
        ValkeyTrigger(name="v", host="a.example.com:1", port=1, stream="s"),
        ValkeyTrigger(name="v", host="a.example.com", port=1, stream="s", tls=False),
        ValkeyTrigger(name="v", host="a.example.com", port=1, stream="s", batch=10**9),
        ValkeyTrigger(name="v", host="a.example.com", port=1, stream="s", window=5.0),
        QueueTrigger(name="q", queue="undeclared"),
        S3Trigger(name="s", secret="k", contract="{"),
    ],
)
def test_a_bundle_cannot_hold_what_a_manifest_could_not(trigger: Any) -> None:
    with pytest.raises(InvalidInputError, match="not valid"):
        check_received(msgspec.structs.replace(GOOD, triggers=(trigger,)))


@pytest.mark.parametrize(
    "delivery",
    [
        Delivery(attempts=0),
        Delivery(backoff=-1.0),
        Delivery(backoff=5.0, backoff_most=1.0),
        Delivery(max_age=float("inf")),
        Delivery(keep_results=1e9),
        Delivery(on_success=(Destination(kind=DestinationKind.QUEUE, name="nowhere"),)),
        Delivery(on_failure=(Destination(kind=DestinationKind.FUNCTION, name="f"),)),
    ],
)
def test_nor_such_a_delivery(delivery: Delivery) -> None:
    with pytest.raises(InvalidInputError, match="not valid"):
        check_received(msgspec.structs.replace(GOOD, delivery=delivery))


def test_names_twice_and_other_orders_are_refused() -> None:
    one, two = ScheduleTrigger(name="a", every=5.0), ScheduleTrigger(name="a", every=6.0)
    with pytest.raises(InvalidInputError, match="a name of its own"):
        check_received(msgspec.structs.replace(GOOD, triggers=(one, two)))
    s3, schedule = S3Trigger(name="b", secret="k"), one
    check_received(msgspec.structs.replace(GOOD, triggers=(schedule, s3)))
    with pytest.raises(InvalidInputError, match="one form"):
        check_received(msgspec.structs.replace(GOOD, triggers=(s3, schedule)))


def test_bundles_without_any_of_it_are_what_they_were() -> None:
    manifest = BundleManifest(project="p", function=GOOD, lock_sha256=None)
    written = json.loads(manifest.canonical())["function"]
    assert not {"triggers", "event_format", "contract", "delivery"} & set(written)
    route = HttpTrigger(method="GET", path="/")
    routed = msgspec.structs.replace(GOOD, http=(route,))
    manifest = BundleManifest(project="p", function=routed, lock_sha256=None)
    assert json.loads(manifest.canonical())["function"]["http"] == [{"method": "GET", "path": "/"}]


# -- in the form of grants -------------------------------------------------------------------------


def test_what_triggers_see_and_destinations_get() -> None:
    found = {grant.text: grant.actions for grant in event_grants(SPEC)}
    assert found == {
        "bucket uploads": ("watch",),
        "egress [::1]:6379": ("receive",),
        "egress broker.example.com:8883": ("receive",),
        "egress cache.example.com:6380": ("receive",),
        "egress db.example.com:5432": ("receive",),
        "egress mq.example.com:5671": ("receive",),
        "egress nats.example.com:4222": ("receive",),
        "function other": ("invoke",),
        "queue done": ("send",),
        "queue jobs": ("receive",),
        "table users": ("watch",),
        "topic news": ("publish",),
    }


def test_two_triggers_of_one_bucket_see_both_parts() -> None:
    def watch(*prefixes: str) -> tuple[Grant, ...]:
        return consumed(
            tuple(
                BucketTrigger(name=f"b{n}", bucket="b", prefix=prefix)
                for n, prefix in enumerate(prefixes)
            )
        )

    assert watch("in/", "out/") == (
        Grant(kind=GrantKind.BUCKET, name="b", actions=("watch",), prefixes=("in/", "out/")),
    )
    assert watch("in/", "")[0].prefixes == ()


# -- kinds -----------------------------------------------------------------------------------------

TEXT = st.text("0123456789*/,-LW#@ monMAY", max_size=20) | st.text(max_size=12)


@pytest.mark.parametrize(
    "kind", [Cron(), TimeZone(), JsonValue(), FilterValues(), DestinationText()]
)
@given(value=TEXT | st.integers() | st.floats() | st.booleans() | st.lists(TEXT, max_size=3))
@settings(max_examples=150, deadline=None)
def test_a_value_is_taken_or_refused(kind: Any, value: object) -> None:
    parse: Callable[[object], object] = kind.parse
    try:
        parsed = parse(value)
    except RejectedValueError:
        return
    assert parsed is not None
