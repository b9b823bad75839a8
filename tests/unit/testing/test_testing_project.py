"""Tests of handlers get the runner's own context and events, with the manifest's grants."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import casemate
from casemate.model.errors import NotFoundError as NoSuchError
from casemate.runner.channel import DeniedError, InvalidError, NotFoundError
from casemate.testing import TestProject

MANIFEST = """
[project]
name = "shop"

[function.f]
handler = "app:handler"

[function.f.environment]
API_URL = "https://api.example.org/"

[function.f.grants]
buckets = [{ name = "in", actions = ["read"], prefixes = ["a/"] }]
queues = ["jobs"]
secrets = ["key"]
invoke = ["other"]

[[function.f.http]]
method = "POST"
path = "/carts/{id}"

[[function.f.bucket]]
name = "objects"
bucket = "in"
prefix = "a/"

[[function.f.queue]]
name = "work"
queue = "work"
batch = 5

[function.aws]
handler = "app:handler"
event_format = "aws"

[[function.aws.topic]]
name = "news"
topic = "news"

[function.other]
handler = "app:handler"

[function.f.delivery]
on_failure = ["queue:jobs", "function:other"]

[bucket.in]
[queue.jobs]
[queue.work]
[topic.news]
"""


@pytest.fixture
def project(tmp_path: Path) -> TestProject:
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return None\n")
    (tmp_path / "casemate.toml").write_text(MANIFEST)
    return TestProject(tmp_path / "casemate.toml")


def test_what_is_granted_works_and_nothing_else_does(project: TestProject) -> None:
    context = project.context("f")
    project.buckets["in"].put("a/x", b"content")
    project.buckets["in"].put("b/x", b"content")
    assert context.bucket("in").get("a/x") == b"content"
    denied = (
        lambda: context.bucket("in").get("b/x"),
        lambda: context.bucket("in").put("a/y", b""),
        lambda: list(context.bucket("in").list()),
        lambda: context.queue("work").send({}),
        lambda: context.topic("news").publish({}),
        lambda: context.table("rows").get("x"),
        lambda: context.secret("other-key"),
        lambda: context.invoke("f", {}),
        lambda: project.context("other").queue("jobs").send({}),
    )
    for attempt in denied:
        with pytest.raises(DeniedError):
            attempt()
    assert set(project.buckets["in"].objects) == {"a/x", "b/x"}


def test_variables_of_the_manifest_are_there_for_tests(project: TestProject) -> None:
    assert project.environment("f") == {"API_URL": "https://api.example.org/"}
    assert project.environment("other") == {}


def test_secrets_invocations_messages_and_lines(project: TestProject) -> None:
    context = project.context("f")
    with pytest.raises(NotFoundError):
        context.secret("key")
    project.set_secret("key", "v" * 65_536)
    assert context.secret("key") == "v" * 65_536
    with pytest.raises(NotFoundError):
        context.invoke("other", {})
    project.answer("other", lambda event: {"twice": event["n"] * 2})
    assert context.invoke("other", {"n": 2}) == {"twice": 4}
    context.queue("jobs").send({"n": 1}, key="k", attributes={"a": "b"})
    [message] = project.queues["jobs"].messages
    assert (message.data, message.key, message.attributes) == ({"n": 1}, "k", {"a": "b"})
    context.log.info("hello", n=1)
    assert project.lines == [("info", 'hello {"n": 1}')]
    assert context.identity_token("aud").startswith("test-token-for:")
    assert 0 < context.remaining() <= 30 and context.project == "shop"


def test_what_a_node_would_not_take_is_refused(project: TestProject) -> None:
    queue = project.context("f").queue("jobs")
    for wrong in ({"priority": 1000}, {"delay": -1}, {"key": "k" * 5000}):
        with pytest.raises(InvalidError):
            queue.send({}, **wrong)
    with pytest.raises(InvalidError):
        project.context("f").bucket("No Name").get("x")
    assert project.queues["jobs"].messages == []


def test_events_are_as_handlers_get_them(project: TestProject) -> None:
    event = project.event("f", "objects", {"key": "a/cat.jpg"})
    assert (event.type, event.subject) == ("casemate.bucket.created", "a/cat.jpg")
    assert event.data["bucket"] == event.detail["bucket"] == "in" and event["id"] == event.id
    batch = project.event("f", "work", {"n": 1})
    assert [record.data for record in batch.records] == [{"n": 1}]
    records = project.event("aws", "news", {"n": 1})["Records"]
    assert records[0]["Sns"]["Message"] == '{"n":1}'


def test_a_request_to_a_route(project: TestProject) -> None:
    event = project.request(
        "f",
        "POST",
        "/carts/7",
        route="/carts/{id}",
        path_parameters={"id": "7"},
        query="a=1&a=2",
        headers={"Content-Type": "application/json"},
        body=b'{"n": 1}',
    )
    assert event["path_parameters"] == {"id": "7"} and event["query"] == {"a": ["1", "2"]}
    assert event.data == {"n": 1} and event.type == "casemate.http.request"


def test_the_route_of_a_request_is_found_as_a_node_finds_it(project: TestProject) -> None:
    event = project.request("f", "POST", "/carts/a%20b?x=1", body={"n": [2]})
    assert (event["route"], event["path_parameters"]) == ("/carts/{id}", {"id": "a b"})
    assert event["query"] == {"x": ["1"]} and event["body"] == '{"n":[2]}'
    assert project.request("f", "POST", "/carts/1", body="text")["is_base64"]
    for method, path in (("GET", "/carts/1"), ("POST", "/carts"), ("POST", "/carts/1/2")):
        with pytest.raises(NoSuchError, match=r"it has POST /carts/\{id\}"):
            project.request("f", method, path)


def test_what_the_manifest_has_not(project: TestProject) -> None:
    for attempt in (
        lambda: project.context("absent"),
        lambda: project.event("f", "absent"),
        lambda: project.request("absent", "GET", "/"),
    ):
        with pytest.raises(NoSuchError):
            attempt()


def test_two_projects_share_nothing(tmp_path: Path, project: TestProject) -> None:
    other = TestProject(tmp_path / "casemate.toml")
    project.set_secret("key", "value")
    project.answer("other", lambda event: event)
    for attempt in (
        lambda: other.context("f").secret("key"),
        lambda: other.context("f").invoke("other", 1),
    ):
        with pytest.raises(NotFoundError):
            attempt()


def test_handlers_can_import_what_the_sandbox_offers() -> None:
    assert casemate.NotFoundError is NotFoundError  # type: ignore[attr-defined]
    program = "import casemate.testing; from casemate import Context, Event, ConflictError, Bucket"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_nothing_of_the_platform_imports_it() -> None:
    program = (
        "import sys, casemate.cli.main, casemate.gateway.process\n"
        "sys.exit(any(name.startswith('casemate.testing') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_what_a_function_named_by_on_failure_gets(project: TestProject) -> None:
    """As docs/howto/dead-letters.md has it."""
    event = project.given_up("f")
    assert event.type == event["type"] == "casemate.function.failed"
    assert event.source == "/projects/shop/functions/f" and event.data == {"result": None}
    assert set(event) == {"id", "source", "type", "time", "subject", "data", "result"}
    assert event.detail == event["result"]
    detail = {"function", "invocation", "outcome", "error_id", "attempts", "depth", "left"}
    assert set(event.detail) == detail and event.detail["function"] == "f"
    with pytest.raises(NoSuchError, match="names no function"):
        project.given_up("other")


def test_a_context_has_the_event_that_was_made_for_it(project: TestProject) -> None:
    event = project.request("f", "POST", "/carts/7", body={"url": "x"})
    context = project.context("f")
    assert context.event is event
    assert context.event.data == {"url": "x"}
    later = project.event("f", "objects", {"key": "a/b"})
    assert project.context("f").event is later
    assert context.event is event
    assert project.context("f", event).event is event
    # What another function is handed is none of its own.
    told = project.given_up("f")
    assert project.context("f").event is later
    assert project.context("other").event is told


def test_a_context_has_the_event_behind_other_shapes(project: TestProject) -> None:
    handed = project.event("aws", "news", {"a": 1})
    assert set(handed) == {"Records"}
    assert project.context("aws").event.data == {"a": 1}
    assert project.direct_call("f", 7) == 7
    assert project.context("f").event.data == 7
    handed = project.direct_call("f", {"a": 1})
    assert handed == {"a": 1}
    assert handed.data == {"a": 1}
    assert project.context("f").event is handed
    assert project.direct_call("f", {}) == {}
    assert project.context("f").event.data == {}
    with pytest.raises(NoSuchError, match="no function g"):
        project.direct_call("g", 1)


def test_a_context_without_an_event_says_so(project: TestProject) -> None:
    event = project.context("f").event
    assert event == {}
    assert event.type == "casemate.invocation"
    with pytest.raises(LookupError, match="No event was made for this context: give it one"):
        _ = event.data


def test_a_secret_has_versions(project: TestProject) -> None:
    context = project.context("f")
    with pytest.raises(NotFoundError):
        context.secret("key")
    project.set_secret("key", "the old one")
    project.set_secret("key", b"the new one")
    assert context.secret("key") == context.secret("key", version=2) == "the new one"
    assert context.secret("key", version=1) == "the old one"
    for version in (3, 99):
        with pytest.raises(NotFoundError, match=f"no version {version}"):
            context.secret("key", version=version)
