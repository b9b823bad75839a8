"""Sample events fit their triggers, and are what the sources' own code makes."""

from __future__ import annotations

import ast
import inspect
from types import ModuleType

import msgspec
import pytest

from casemate.data.fanout import fits, watches
from casemate.model import trigger as model
from casemate.model.deployment import Version
from casemate.model.errors import InvalidInputError
from casemate.model.event import Event
from casemate.model.function import FunctionSpec
from casemate.model.grant import Resources, TableSpec
from casemate.sources import mqtt, nats, postgres, rabbitmq, valkey
from casemate.triggers.hooks.declared import Hook
from casemate.triggers.hooks.interface import Notice
from casemate.triggers.samples import sample_event

NOW = 1_800_000_000.0
SERVER = {"host": "server.example.org", "port": 1000}
TRIGGERS: tuple[model.AnyTrigger, ...] = (
    model.ScheduleTrigger(name="schedule-1", every=60.0, data='{"a":1}'),
    model.QueueTrigger(name="queue-1", queue="jobs"),
    model.TopicTrigger(name="topic-1", topic="news", filter={"a.b": ("x",), "n": (3.0,)}),
    model.BucketTrigger(
        name="bucket-1", bucket="in", events=("deleted",), prefix="a/", suffix=".b"
    ),
    model.TableTrigger(name="table-1", table="rows", events=("updated",)),
    model.TableTrigger(name="table-2", table="rows", events=("expired",)),
    model.ResultTrigger(name="result-1", function="other", on=("failure",)),
    *(
        model.RepositoryTrigger(
            name=f"repository-{provider}", provider=provider, secret="s", branches=("release/*",)
        )
        for provider in ("github", "gitlab", "gitea", "git")
    ),
    model.RepositoryTrigger(name="no-branch", provider="github", secret="s", events=("push",)),
    model.S3Trigger(name="s3-1", secret="s", events=("s3:ObjectCreated:*",), prefix="p/"),
    model.ValkeyTrigger(name="valkey-1", stream="stream", **SERVER),
    model.ValkeyTrigger(name="valkey-2", keys="session:*", **SERVER),
    model.PostgresTrigger(name="postgres-1", database="d", **SERVER),
    model.PostgresTrigger(name="postgres-2", database="d", outbox="", channel="c", **SERVER),
    model.RabbitmqTrigger(name="rabbitmq-1", queue="q", **SERVER),
    model.MqttTrigger(name="mqtt-1", topic="a/+/#", **SERVER),
    model.NatsTrigger(name="nats-1", subject="a.*.>", **SERVER),
    model.NatsTrigger(name="nats-2", subject="a.b", stream="S", **SERVER),
)
VERSION = Version(
    project="shop",
    function="f",
    number=1,
    digest="a" * 64,
    spec=FunctionSpec(name="f", handler="app:handler", python="3.11", triggers=TRIGGERS),
    created_at=NOW,
    created_by="user:ada",
)
RESOURCES = Resources(tables=(TableSpec(name="rows", key="id", sort="at"),))


def sample(trigger: model.AnyTrigger, **more: object) -> Event:
    return sample_event(VERSION, trigger, NOW, resources=RESOURCES, **more)  # type: ignore[arg-type]


def test_every_kind_has_a_sample() -> None:
    kinds = {model.kind_of(trigger) for trigger in TRIGGERS}
    assert kinds == set(model.TriggerKind) - {model.TriggerKind.INVOKE, model.TriggerKind.HTTP}


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda trigger: trigger.name)
def test_a_sample_is_a_whole_event_that_fits_its_trigger(trigger: model.AnyTrigger) -> None:
    event = sample(trigger)
    assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event
    assert event.kind is model.kind_of(trigger) and event.trigger == trigger.name
    assert event.id and event.source and 0 <= event.time <= NOW
    if isinstance(trigger, model.BucketTrigger):
        assert watches(trigger, event.type.rpartition(".")[2], event.subject)
    if isinstance(trigger, model.TopicTrigger):
        assert fits(trigger, msgspec.json.decode(event.data))
    if isinstance(trigger, (model.RepositoryTrigger, model.S3Trigger)):
        told = Notice(
            event=str(event.detail["event"]),
            deduplication="",
            subject=event.subject,
            branch=str(event.detail.get("branch", "")) or None,
        )
        assert Hook(("shop", "f", trigger.name), trigger, VERSION).wants(told)
    if isinstance(trigger, model.TableTrigger):
        assert event.detail["keys"] == {"id": "sample", "at": "sample"}
        assert (event.detail["new"] is None) == (trigger.events == ("expired",))


_SOURCES = {
    "valkey": valkey, "postgres": postgres, "rabbitmq": rabbitmq, "mqtt": mqtt, "nats": nats,
}  # fmt: skip


def _details_made_by(module: ModuleType) -> list[set[str]]:
    """Return the names of every dict that a connector's code gives a message as its detail."""
    found: list[set[str]] = []
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.keyword) and node.arg == "detail":
            value = node.value
            if isinstance(value, ast.Dict):
                found.append({ast.literal_eval(key) for key in value.keys if key is not None})
    return found


@pytest.mark.parametrize(
    "trigger",
    [trigger for trigger in TRIGGERS if isinstance(trigger, model.OutsideTrigger)],
    ids=lambda trigger: trigger.name,
)
def test_details_are_those_that_the_connector_gives(trigger: model.OutsideTrigger) -> None:
    found = set(sample(trigger).detail) - {"content_type"}  # type: ignore[arg-type]
    kind = str(trigger.__struct_config__.tag)
    if isinstance(trigger, model.NatsTrigger):  # its detail is put together in two steps
        assert found == {"subject"} | (
            {"stream", "sequence", "attempt"} if trigger.stream else set()
        )
    else:
        assert found in _details_made_by(_SOURCES[kind])


@pytest.mark.parametrize("data", [None, 1, "text", [1], {"a": {"b": 2}}])
def test_data_takes_the_place_of_the_sample_s(data: object) -> None:
    for trigger in TRIGGERS:
        if isinstance(
            trigger,
            (model.ScheduleTrigger, model.QueueTrigger, model.TopicTrigger, model.OutsideTrigger),
        ):
            assert msgspec.json.decode(sample(trigger, data=data).data) == data


def test_data_that_a_trigger_could_not_bring_is_refused() -> None:
    for trigger in TRIGGERS:
        if isinstance(
            trigger,
            (model.BucketTrigger, model.TableTrigger, model.RepositoryTrigger, model.S3Trigger),
        ):
            for data in (1, "text", [1], {"unknown": 1}):
                with pytest.raises(InvalidInputError):
                    sample(trigger, data=data)


def test_of_several_events_the_one_that_is_named_is_made() -> None:
    bucket = model.BucketTrigger(name="b", bucket="in", events=("created", "deleted"))
    assert sample(bucket).type == "casemate.bucket.created"
    gone = sample(bucket, data={"event": "deleted", "key": "a.jpg"})
    assert (gone.type, gone.subject) == ("casemate.bucket.deleted", "a.jpg")
    assert "event" not in gone.detail
    table = model.TableTrigger(name="t", table="rows", events=("inserted", "deleted"))
    images = msgspec.json.decode(sample(table, data={"event": "deleted"}).data)
    assert images["new"] is None and images["old"] is not None
    for trigger in (bucket, table):
        for data in ({"event": "updated"}, {"event": None}, {"event": ["deleted"]}):
            with pytest.raises(InvalidInputError, match="does not bring") as failed:
                sample(trigger, data=data)
            assert "deleted" in (failed.value.next_step or "")
