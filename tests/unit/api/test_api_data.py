"""Buckets, tables and queues over the API, on real data, without a node."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))

from data_support import Data

from casemate.api.buckets import MAX_OBJECT_BODY
from casemate.api.data import OPERATIONS
from casemate.api.problems import RequestError, response_to
from casemate.api.service import Slots
from casemate.capabilities.labels import FROM_API
from casemate.facts import FactStream
from casemate.model.data import Item
from casemate.model.errors import ConflictError
from casemate.model.facts import OperationPerformed
from casemate.model.principal import ANONYMOUS, Action, ResourceKind
from casemate.operations.items import PutItem, WriteItem
from casemate.operations.messages import PublishToTopic, SendToQueue
from support.parts import unused_parts
from support.recorder import FakeRecorder

OBJECT = "/buckets/p/files/object"


@pytest.fixture
def data(tmp_path):
    opened = Data(tmp_path / "data")
    yield opened
    opened.finish()


@pytest.fixture
def hidden() -> set[tuple[Action, str]]:
    """What who asks may not see."""
    return set()


@pytest.fixture
def service(data, hidden):
    facts = FactStream()
    return SimpleNamespace(
        facts=facts,
        **unused_parts(facts),
        recorder=FakeRecorder(),
        data=data.port,
        uploads=Slots("uploads", 1, 1),
        accounts=SimpleNamespace(answerable=lambda caller: caller),
        may=lambda request, action, resource: (action, resource.name) not in hidden,
        has_project=lambda name: name in ("p", "empty"),
        control=SimpleNamespace(functions=nothing_deployed),
    )


@pytest.fixture
def ask(data, service) -> Callable[..., httpx2.Response]:
    def route(path: str) -> Route:
        methods = {o.method: o for o in OPERATIONS if o.path == path}

        async def endpoint(request):
            operation = methods.get(request.method) or methods["GET"]
            request.scope["casemate.principal"] = ANONYMOUS
            try:
                operation.resource(request)
                return await operation.endpoint(request, service)
            except Exception as error:
                return response_to(error)

        return Route(path, endpoint, methods=list(methods))

    app = Starlette(routes=[route(path) for path in dict.fromkeys(o.path for o in OPERATIONS)])

    def call(method: str, path: str, **rest) -> httpx2.Response:
        async def body() -> httpx2.Response:
            transport = httpx2.ASGITransport(app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://node") as client:
                return await client.request(method, path, **rest)

        return data.run(body())

    return call


@pytest.mark.parametrize(
    "key",
    [
        "k",
        "../../etc/passwd",
        "a/b?c=d&e#f",
        "\u00e9\U0001f600",
        "line\nfeed",
        "x" * 1024,
        "\u00e9" * 512,
    ],
)
def test_put_get_delete(ask, key: str) -> None:
    put = ask(
        "PUT", OBJECT, params={"key": key}, content=b"hi", headers={"content-type": "text/html"}
    )
    assert put.status_code == 201
    assert put.json()["key"] == key
    again = ask("PUT", OBJECT, params={"key": key}, content=b"hello")
    assert (again.status_code, again.json()["revision"]) == (200, 2)
    got = ask("GET", OBJECT, params={"key": key})
    assert got.content == b"hello"
    assert ask("HEAD", OBJECT, params={"key": key}).headers["content-length"] == "5"
    listed = ask("GET", "/buckets/p/files/objects").json()["objects"]
    assert [found["key"] for found in listed] == [key]
    assert ask("DELETE", OBJECT, params={"key": key}).status_code == 204
    assert ask("GET", OBJECT, params={"key": key}).status_code == 404


def test_an_object_is_never_a_page_of_the_node(ask) -> None:
    content = b"<script>alert(1)</script>"
    ask("PUT", OBJECT, params={"key": "k"}, content=content, headers={"content-type": "text/html"})
    headers = ask("GET", OBJECT, params={"key": "k"}).headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == "attachment"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["casemate-content-type"] == "text/html"
    assert headers["etag"] == '"1"'


def test_a_large_object_comes_and_goes_in_pieces(ask, data) -> None:
    content = bytes(range(256)) * 20_000

    async def pieces():
        for start in range(0, len(content), 300_000):
            yield content[start : start + 300_000]

    put = ask("PUT", OBJECT, params={"key": "k"}, content=pieces())
    assert (put.status_code, put.json()["size"]) == (201, len(content))
    got = ask("GET", OBJECT, params={"key": "k"})
    assert got.content == content
    assert got.headers["content-length"] == str(len(content))
    refused = ask("PUT", OBJECT, params={"key": "k", "if_revision": 0}, content=pieces())
    assert refused.status_code == 409
    assert len(data.files()) == 1


@pytest.mark.parametrize("left", [0, 2])
def test_an_object_breaks_off_with_the_right_to_read_it(ask, service, monkeypatch, left) -> None:
    monkeypatch.setattr("casemate.api.held_response._ASK_SECONDS", 0.0)
    decided = []

    def again(_request, allowed) -> None:
        decided.append(list(allowed))
        if len(decided) > left:
            raise RequestError(HTTPStatus.UNAUTHORIZED, "revoked")

    content = bytes(4 << 20)
    assert ask("PUT", OBJECT, params={"key": "k"}, content=content).status_code == 201
    service.require_again = again
    with pytest.raises(BaseException, match=r"revoked|TaskGroup"):
        ask("GET", OBJECT, params={"key": "k"})
    assert len(decided) == left + 1


def test_conditions_and_limits(ask) -> None:
    put = {"params": {"key": "k", "if_revision": 3}, "content": b"x"}
    assert ask("PUT", OBJECT, **put).status_code == 409
    small = "/buckets/p/small/object"
    assert ask("PUT", small, params={"key": "k"}, content=b"x" * 101).status_code == 413
    too_long = {"content-length": str(MAX_OBJECT_BODY + 1)}
    assert ask("PUT", OBJECT, params={"key": "k"}, headers=too_long).status_code == 413
    packed = {"content-encoding": "gzip"}
    assert ask("PUT", OBJECT, params={"key": "k"}, headers=packed).status_code == 415
    gone = ask("DELETE", OBJECT, params={"key": "k", "if_revision": 2})
    assert gone.status_code == 409


def test_uploads_at_once_are_bounded(ask, service) -> None:
    with service.uploads.counted(ANONYMOUS.text):
        assert ask("PUT", OBJECT, params={"key": "k"}, content=b"x").status_code == 429
    assert ask("PUT", OBJECT, params={"key": "k"}, content=b"x").status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", OBJECT, 400),
        ("GET", OBJECT + "?key=", 422),
        ("GET", OBJECT + "?key=a&key=b", 400),
        ("GET", OBJECT + "?key=%00", 422),
        ("GET", OBJECT + "?key=%ff", 400),
        ("GET", OBJECT + "?key=k&other=1", 400),
        ("GET", OBJECT + "?key=k&revision=0", 400),
        ("GET", OBJECT + "?key=k&revision=x", 400),
        ("GET", OBJECT + "?key=" + "x" * 1025, 422),
        ("GET", OBJECT + "?key=" + "x" * 8000, 414),
        ("GET", "/buckets/P/files/objects", 400),
        ("GET", "/buckets/p/nothing/objects", 404),
        ("GET", "/buckets/q/files/objects", 404),
        ("GET", "/buckets/p/files/objects?limit=0", 400),
        ("GET", "/buckets/p/files/objects?delimiter=", 422),
        ("GET", "/buckets/p/files/revisions?key=k", 404),
        ("GET", "/queues/p/nothing", 404),
        ("GET", "/topics/p/rest", 404),
        ("DELETE", "/tables/p/nothing", 404),
    ],
)
def test_what_is_refused(ask, method: str, path: str, status: int) -> None:
    assert ask(method, path).status_code == status


def test_pages_and_revisions(ask) -> None:
    for number in range(4):
        ask("PUT", "/buckets/p/kept/object", params={"key": "k"}, content=b"%d" % number)
    found = ask("GET", "/buckets/p/kept/revisions", params={"key": "k"}).json()["revisions"]
    assert [info["revision"] for info in found] == [4, 3, 2]
    old = ask("GET", "/buckets/p/kept/object", params={"key": "k", "revision": 2})
    assert old.content == b"1"
    for key in ("a", "b/1", "b/2", "c"):
        ask("PUT", OBJECT, params={"key": key}, content=b"")
    page = ask("GET", "/buckets/p/files/objects", params={"delimiter": "/", "limit": 2}).json()
    assert ([info["key"] for info in page["objects"]], page["prefixes"]) == (["a"], ["b/"])
    rest = {"delimiter": "/", "after": page["after"]}
    page = ask("GET", "/buckets/p/files/objects", params=rest).json()
    assert ([info["key"] for info in page["objects"]], page["after"]) == (["c"], None)


def test_only_what_may_be_seen_is_listed(ask, hidden) -> None:
    hidden.update(
        {
            (Action.BUCKET_LIST, "small"),
            (Action.TABLE_QUERY, "sorted"),
            (Action.QUEUE_READ, "rest"),
        }
    )
    buckets = ask("GET", "/buckets/p").json()["buckets"]
    assert [bucket["name"] for bucket in buckets] == ["files", "kept", "other"]
    assert [table["name"] for table in ask("GET", "/tables/p").json()["tables"]] == ["plain"]
    queues = ask("GET", "/queues/p").json()
    assert [q["name"] for q in queues["queues"]] == ["jobs"]
    assert [t["name"] for t in queues["topics"]] == ["jobs"]


@pytest.mark.parametrize("kind", ["buckets", "tables", "queues"])
def test_a_project_that_is_not_there_is_not_told_from_one_that_may_not_be_seen(
    ask, hidden, kind
) -> None:
    assert kind in ask("GET", f"/{kind}/empty").json(), "there is one, and nothing in it"
    missing = ask("GET", f"/{kind}/nobody")
    assert missing.status_code == 404
    assert missing.json()["detail"] == "There is no project nobody that you may see."

    hidden.add((Action.FUNCTION_READ, ""))
    unseen = ask("GET", f"/{kind}/empty")
    assert unseen.status_code == 404
    assert unseen.json()["detail"] == "There is no project empty that you may see."


async def nothing_deployed() -> tuple[()]:
    return ()


def test_tables(ask, data) -> None:
    for number in range(5):
        data.put_item("p", "sorted", {"id": "a", "at": number, "colour": "red", "size": number})
    item = ask("POST", "/tables/p/sorted/get", json={"key": "a", "sort": 2}).json()
    assert item["value"]["size"] == 2
    question = {"key": "red", "index": "by-colour-size", "sort": {"at_least": 2}, "limit": 2}
    page = ask("POST", "/tables/p/sorted/query", json=question).json()
    assert [found["value"]["size"] for found in page["items"]] == [2, 3]
    question["after"] = page["after"]
    page = ask("POST", "/tables/p/sorted/query", json=question).json()
    assert [found["value"]["size"] for found in page["items"]] == [4]
    for bad, status in (
        ({"key": "a", "after": "forged"}, 422),
        ({"key": [1]}, 400),
        ({"limit": 0}, 400),
        ({"key": "a", "where": "1=1"}, 400),
        ({"sort": {"$gt": ""}, "key": "a"}, 400),
        ({"key": "a", "index": "x' OR '1'='1"}, 404),
    ):
        assert ask("POST", "/tables/p/sorted/query", json=bad).status_code == status
    assert ask("POST", "/tables/p/sorted/get", json={"key": "a"}).status_code == 422
    assert ask("POST", "/tables/p/sorted/get", json={"key": "a", "sort": 99}).status_code == 404
    assert ask("DELETE", "/tables/p/sorted").status_code == 204
    assert ask("DELETE", "/tables/p/sorted").status_code == 404


def test_queues(ask, data) -> None:
    data.send("p", "queue", "jobs", b"1")
    data.send("p", "topic", "jobs", b"2")
    shown = ask("GET", "/queues/p/jobs").json()
    assert (shown["name"], shown["waiting"]) == ("jobs", 1)
    assert ask("POST", "/queues/p/jobs/purge").json() == {"deleted": 1}
    assert ask("GET", "/topics/p/jobs").json()["waiting"] == 1
    assert ask("DELETE", "/topics/p/jobs").status_code == 204
    assert ask("GET", "/topics/p/jobs").status_code == 404
    assert ask("GET", "/queues/p/jobs").status_code == 200


TABLE, QUEUE, TOPIC = "/tables/p/plain/put", "/queues/p/jobs/send", "/topics/p/jobs/publish"


def test_an_item_is_written_and_deleted(ask, data) -> None:
    item = {"id": "ada", "n": "swordfish"}
    put = ask("POST", TABLE, json={"value": item})
    assert put.status_code == 200 and put.json()["revision"] == 1 and "value" not in put.json()
    assert data.get_item("p", "plain", "ada").labels == FROM_API
    refused = ask("POST", TABLE, json={"value": item, "if_revision": 0})
    assert refused.status_code == 409 and "swordfish" not in refused.text
    assert ask("POST", TABLE, json={"value": item, "if_revision": 1}).json()["revision"] == 2
    delete = "/tables/p/plain/delete"
    assert ask("POST", delete, json={"key": "ada", "if_revision": 1}).status_code == 409
    assert ask("POST", delete, json={"key": "ada"}).status_code == 204
    assert ask("POST", delete, json={"key": "ada"}).status_code == 204
    assert ask("POST", "/tables/p/plain/get", json={"key": "ada"}).status_code == 404


def test_a_message_is_sent_as_it_is_written(ask, data) -> None:
    body = b'{"message": {"sum": 1.10, "far": 1e999, "big": 123456789012345678901234567890}}'
    json_type = {"content-type": "application/json"}
    sent = ask("POST", QUEUE, content=body, headers=json_type)
    assert sent.status_code == 200
    (message,) = data.receive("p", "queue", "jobs", limit=9, lease=60.0)
    assert message.id == sent.json()["id"] and message.labels == FROM_API
    assert message.body == body[len(b'{"message": ') : -1]
    assert ask("POST", TOPIC, json={"message": None, "attributes": {"a": "b"}}).status_code == 200
    assert ask("GET", "/topics/p/jobs").json()["waiting"] == 1


LONG = "x" * 250


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (TABLE, {"value": {"id": 1, "x": LONG * 12}}, 413),
        (TABLE, {"value": {"id": 1, "x": LONG * 2200}}, 413),
        (TABLE, {"value": [1]}, 422),
        (TABLE, {"value": {"n": 1}}, 422),
        (TABLE, {"value": {"id": None}}, 422),
        (TABLE, {"value": {"id": 2**64}}, 422),
        (TABLE, {"value": {"id": "a\0"}}, 422),
        (TABLE, {"value": {"id": "a" * 1025}}, 422),
        (TABLE, {}, 400),
        (TABLE, {"value": {"id": 1}, "labels": ""}, 400),
        (TABLE, {"value": {"id": 1}, "if_revision": -1}, 400),
        (TABLE, {"value": {"id": 1}, "table": "sorted"}, 400),
        ("/tables/p/nothing/put", {"value": {"id": 1}}, 404),
        ("/tables/q/plain/put", {"value": {"id": 1}}, 404),
        ("/tables/p/jobs/put", {"value": {"id": 1}}, 404),
        ("/tables/p/plain/delete", {"key": [1]}, 400),
        ("/tables/p/plain/delete", {"key": 1, "sort": 1}, 422),
        ("/tables/q/plain/delete", {"key": 1}, 404),
        (QUEUE, {"message": LONG}, 413),
        (QUEUE, {"message": 1, "delay": 1e9}, 400),
        (QUEUE, {"message": 1, "priority": 101}, 400),
        (QUEUE, {"message": 1, "deduplication": ""}, 400),
        (QUEUE, {"message": 1, "labels": "x"}, 400),
        (QUEUE, {"message": 1, "attributes": {"a b": "1"}}, 422),
        (QUEUE, {"message": 1, "attributes": {str(n): "" for n in range(11)}}, 400),
        (QUEUE, {}, 400),
        ("/queues/p/nothing/send", {"message": 1}, 404),
        ("/queues/q/jobs/send", {"message": 1}, 404),
        ("/topics/p/rest/publish", {"message": 1}, 404),
        (TOPIC, {"message": 1, "delay": 1}, 400),
    ],
)
def test_what_is_not_kept(ask, data, path: str, body: dict, status: int) -> None:
    refused = ask("POST", path, json=body)
    assert refused.status_code == status, refused.text
    assert LONG not in refused.text
    assert data.query_items("p", "plain").items == ()
    assert ask("GET", "/queues/p/jobs").json()["waiting"] == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"value": {"id": 1, "n": [%s]}}' % b",".join([b"1e300"] * 1001), 422),
        (b'{"value": {"id": 1, "n": %s}}' % (b"1" * 2000), 422),
        (b'{"value": {"id": 1, "n": 1e999}}', 422),
        (b'{"value": {"id": 1}} x', 400),
        (b'{"value": {"id": "\xff"}}', 422),
        (b'{"value": {"id": "\\ud800"}}', 400),
        (b'{"value": ' + b"[" * 5000 + b"]" * 5000 + b"}", 422),
        (b'{"value": {"id": 1, "n": ' + b"[" * 40 + b"]" * 40 + b"}}", 422),
    ],
)
def test_json_that_is_no_item(ask, data, body: bytes, status: int) -> None:
    began = time.process_time()
    refused = ask("POST", TABLE, content=body, headers={"content-type": "application/json"})
    assert refused.status_code == status, refused.text
    assert time.process_time() - began < 2.0
    assert data.query_items("p", "plain").items == ()


def test_of_many_who_write_on_condition_one_does(ask, data, service) -> None:
    async def all_at_once() -> list[object]:
        content = b'{"id": "one"}'
        each = (
            service.data.change(PutItem(project="p", table="plain", content=content, if_revision=0))
            for _ in range(50)
        )
        return await asyncio.gather(*each, return_exceptions=True)

    found = data.run(all_at_once())
    assert sum(isinstance(each, Item) for each in found) == 1
    assert sum(isinstance(each, ConflictError) for each in found) == 49


def test_what_is_sent_is_in_no_text_of_the_operation() -> None:
    raw = msgspec.Raw(b'"p4ss"')
    for operation in (
        WriteItem(project="p", table="t", value=raw),
        SendToQueue(project="p", queue="q", message=raw, attributes={"a": "p4ss"}),
        PublishToTopic(project="p", topic="t", message=raw, attributes={"a": "p4ss"}),
    ):
        assert "p4ss" not in repr(operation)


def test_it_is_told_whether_anything_was_in_what_is_dropped(ask, service) -> None:
    told: list[OperationPerformed] = []
    service.facts.listen(OperationPerformed, told.append)

    def dropped(path: str) -> bool:
        told.clear()
        answer = ask("POST" if path.endswith("/purge") else "DELETE", path)
        assert answer.is_success, answer.text
        [fact] = told
        assert fact.effect == "destroy"
        return fact.empty

    assert ask("POST", TABLE, json={"value": {"id": "ada"}}).status_code == 200
    assert ask("POST", QUEUE, json={"message": 1}).status_code == 200
    assert ask("POST", TOPIC, json={"message": 1}).status_code == 200
    assert ask("PUT", OBJECT, params={"key": "k"}, content=b"x").is_success
    for path in ("/queues/p/jobs/purge", "/topics/p/jobs/purge"):
        assert not dropped(path), path
        assert dropped(path), path
    assert ask("POST", QUEUE, json={"message": 1}).status_code == 200
    assert dropped("/topics/p/jobs")
    for path in ("/tables/p/plain", "/queues/p/jobs", "/buckets/p/files"):
        assert not dropped(path), path
    for path in ("/tables/p/sorted", "/queues/p/rest", "/buckets/p/other"):
        assert dropped(path), path


def test_drop_a_bucket(ask) -> None:
    ask("PUT", OBJECT, params={"key": "k"}, content=b"x")
    assert ask("DELETE", "/buckets/p/files").status_code == 204
    assert ask("GET", OBJECT, params={"key": "k"}).status_code == 404


def test_every_operation_asks_the_policy() -> None:
    """Only the listings decide for themselves, for each thing they show."""
    open_ones = {operation.id for operation in OPERATIONS if operation.action is None}
    assert open_ones == {"listBuckets", "listTables", "listQueues"}
    assert all(operation.authenticated for operation in OPERATIONS)
    kinds = {"bucket": "bucket", "table": "table", "queue": "queue", "topic": ("queue", "topic")}
    request = SimpleNamespace(
        path_params={"project": "p", "bucket": "n", "table": "n", "queue": "n", "topic": "n"}
    )
    for operation in OPERATIONS:
        if operation.action is not None:
            resource = operation.resource(request)
            assert resource.kind in set(ResourceKind)
            assert operation.action.value.startswith(kinds[resource.kind.value])
            assert (resource.project, resource.name) == ("p", "n")


def test_a_mistyped_name_is_told_with_the_one_that_may_be_meant(ask, hidden) -> None:
    def detail(method: str, path: str, **rest) -> str:
        answer = ask(method, path, **rest)
        assert answer.status_code == 404
        return answer.json()["detail"]

    assert detail("GET", "/buckets/p/fils/objects").endswith('; did you mean "files"?')
    assert detail("PUT", "/buckets/p/fils/object?key=a", content=b"x").endswith('"files"?')
    assert detail("DELETE", "/queues/p/files").endswith("; files is a bucket.")
    hidden.add((Action.BUCKET_LIST, "files"))
    assert detail("GET", "/buckets/p/fils/objects") == "The project p has no bucket fils."
    assert detail("DELETE", "/queues/p/files") == "The project p has no queue files."
