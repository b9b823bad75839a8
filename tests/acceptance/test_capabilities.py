"""What is granted works, from inside the sandbox: every handle of a handler's context."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from support import forked_cli
from support.attacks import attempt, denials, until
from support.cli import casemate
from support.node import TestNode

SHARES_NODE = True
SOURCE = Path(__file__).parent.parent / "functions" / "capabilities" / "app.py"
RESOURCES = """
[bucket.files]
versions = 3
[bucket.small]
max_object = "1KB"
max_total = "4KB"
[table.people]
key = "team"
sort = "name"
indexes = [{ name = "by-mail", key = "mail" }, { name = "by-age", key = "team", sort = "age" }]
[table.sessions]
key = "id"
ttl = "until"
[queue.jobs]
[topic.news]
"""
GRANTS = """
buckets = [
  { name = "files", actions = ["read", "write", "list", "delete"], prefixes = ["a/", "lis"] },
  { name = "small", actions = ["write"] },
]
tables = [
  { name = "people", actions = ["get", "put", "query", "delete"] },
  { name = "sessions", actions = ["get", "put", "query"] },
]
queues = ["jobs"]
topics = ["news"]
secrets = ["api-key", "binary", "unset"]
"""
LIMITS = 'memory = "256MB"\ntimeout = "20s"'
FIRST, SECOND = "first-value-of-the-key", "second value, rather longer than the first"
Do = Callable[..., Any]


def set_secret(node: TestNode, name: str, value: str | bytes) -> None:
    raw = value.encode() if isinstance(value, str) else value
    done = forked_cli.run_bytes(
        ["secrets", "set", f"t/{name}", "--exact"],
        stdin=raw,
        env={**os.environ, "CASEMATE_URL": node.url, "CASEMATE_KEY": node.key},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def log_of(node: TestNode, invocation: str) -> str:
    answer = node.client.get(f"{node.url}/api/v1/logs", params={"invocation": invocation})
    answer.raise_for_status()
    return answer.text


@pytest.fixture(scope="module")
def deployed(node: TestNode) -> TestNode:
    set_secret(node, "api-key", FIRST)
    set_secret(node, "other", "of another function")
    node.deploy(SOURCE.read_text(), grants=GRANTS, resources=RESOURCES, limits=LIMITS, approve=True)
    return node


@pytest.fixture
def do(deployed: TestNode) -> Do:
    """Have the function do something; return its answer."""

    def run(what: str, *, function: str = "t/f", **arguments: Any) -> Any:
        return attempt(deployed, function, {"do": what, **arguments}).answer

    return run


# -- buckets ---------------------------------------------------------------------------------


def test_objects_are_put_read_and_deleted(do: Do) -> None:
    found = do("objects")
    assert found["same"]
    assert found["head"]["content_type"] == "text/plain"
    assert found["head"]["metadata"] == {"by": "hand", "naïve": "ü"}
    assert found["head"]["size"] == 5
    assert found["revisions"][1] == found["revisions"][0] + 1
    assert (found["old"], found["new"]) == ("first", "zweiter, ü")
    assert found["exists"] == [True, False]
    assert "no such object" in found["gone"]


def test_conditions_hold_or_nothing_changes(do: Do) -> None:
    found = do("conditions")
    first = found["first"]
    assert found["outcomes"] == [first, "conflict", first + 1, *["conflict"] * 3]
    assert found["content"] == "3"


def test_a_listing_goes_over_its_pages(do: Do) -> None:
    """The handle asks for 500 at a time."""
    keys = do("pages", count=520)["keys"]
    assert keys == [*(f"list/{number:04}" for number in range(520)), "list/ä"]


def test_a_large_object_is_streamed_both_ways(do: Do, deployed: TestNode) -> None:
    size = 20 << 20
    found = do("stream", size=size)
    assert found["info"]["size"] == found["total"] == size
    assert found["info"]["content_type"] == "application/x-test"
    assert found["info"]["sha256"] == found["sha256"]
    assert found["alike"]
    assert found["cuts"]
    assert found["pieces"] == 7
    assert found["iterated"] == [4 << 20] * 5


@pytest.mark.parametrize("size", [(4 << 20) - 1, 4 << 20, (4 << 20) + 1, 9_000_000])
def test_objects_around_the_size_of_a_part(do: Do, size: int) -> None:
    assert do("whole", size=size) == {"size": size, "alike": True}


def test_a_reader_stays_with_its_revision(do: Do) -> None:
    assert do("changed_while_read") == {"one": True, "size": 6 << 20}


@pytest.mark.parametrize("how", ["raise", "exit", "memory", "sleep"])
def test_an_upload_that_is_not_finished_leaves_nothing(
    deployed: TestNode, do: Do, how: str
) -> None:
    """Whether the handler fails, ends its process, is out of memory or of time."""
    if how == "sleep":
        deployed.deploy(
            SOURCE.read_text(),
            name="short",
            grants=GRANTS,
            resources=RESOURCES,
            limits='timeout = "2s"',
            approve=True,
        )
    function = "t/short" if how == "sleep" else "t/f"
    before = stored(deployed)
    tried = attempt(deployed, function, {"do": "give_up", "how": how})
    outcomes = {
        "raise": "handler-error",
        "exit": "crashed",
        "memory": "out-of-memory",
        "sleep": "timeout",
    }
    assert tried.response.status_code >= 500
    assert tried.recorded(outcomes[how])
    listed = deployed.get("/buckets/t/files/objects", prefix="a/unf")["objects"]
    assert listed == []
    # What was sent already is gone, and not only hidden.
    assert until(lambda: stored(deployed) < before + (1 << 20), 10), stored(deployed) - before


def stored(node: TestNode) -> int:
    """Return the bytes of files of 1 MiB and more: parts of large objects, not a database's log."""
    sizes = []
    for path in node.data.rglob("*"):
        if not path.name.endswith(("-wal", "-shm", ".db")):
            try:
                sizes.append(path.stat().st_size if path.is_file() else 0)
            except OSError:
                continue
    return sum(size for size in sizes if size >= 1 << 20)


# -- tables, queues, topics ------------------------------------------------------------------


def test_items_are_put_found_and_deleted(do: Do) -> None:
    found = do("items")
    assert found["item"]["ü"] == ["ß", None]
    assert found["key"] == ["ann", "bob", "cid"]
    assert found["descending"] == ["cid", "bob", "ann"]
    assert found["limit"] == ["ann", "bob"]
    assert found["from"] == ["bob", "cid"]
    assert found["below"] == ["bob"]
    assert found["prefix"] == ["cid"]
    assert found["equal"] == ["bob"]
    assert found["index"] == ["dan"]
    assert found["sorted-index"] == ["bob", "ann", "cid"]
    assert found["index-range"] == ["ann"]
    assert {"ann", "bob", "cid", "dan"} <= set(found["all"])
    assert found["gone"]


def test_conditions_on_items(do: Do) -> None:
    found = do("item_conditions")
    assert found == {"outcomes": ["conflict", "put", "conflict", "conflict"], "n": 2}


def test_a_query_goes_over_its_pages(do: Do) -> None:
    assert do("many_items", count=510)["names"] == [f"{number:04}" for number in range(510)]


def test_items_end_when_their_time_is_up(do: Do) -> None:
    found = do("expiring", seconds=1.0)
    assert found == {"before": ["kept", "short"], "after": ["kept"], "gone": True}


def test_messages_are_kept(do: Do, deployed: TestNode) -> None:
    before = waiting(deployed, "queues", "jobs"), waiting(deployed, "topics", "news")
    found = do("messages")
    assert found["ids"][0] == found["ids"][1] != found["ids"][2]
    after = waiting(deployed, "queues", "jobs"), waiting(deployed, "topics", "news")
    assert (after[0] - before[0], after[1] - before[1]) == (2, 1)


def waiting(node: TestNode, kind: str, name: str) -> int:
    return int(node.get(f"/{kind}/t/{name}")["waiting"])


# -- secrets ---------------------------------------------------------------------------------


def test_secrets_and_their_versions(do: Do, deployed: TestNode) -> None:
    binary = bytes(range(256)) * 4
    set_secret(deployed, "binary", binary)
    set_secret(deployed, "api-key", FIRST)
    set_secret(deployed, "api-key", SECOND)
    found = do("secrets")
    assert (found["length"], found["old-length"]) == (len(SECOND), len(FIRST))
    assert (found["sum"], found["bytes"]) == (sum(binary), len(binary))
    assert found["not-text"][0] == "InvalidError"
    assert "secret_bytes" in found["not-text"][1]
    assert found["no-version"][0] == "NotFoundError"
    assert found["not-granted"][0] == "DeniedError"
    assert found["not-set"][0] == "NotFoundError"


def test_a_new_value_is_seen_by_the_next_call(do: Do, deployed: TestNode) -> None:
    lengths = []
    for size in (20, 33, 47):
        set_secret(deployed, "binary", "v" * size)
        lengths.append(do("secrets")["bytes"])
    assert lengths == [20, 33, 47]


@pytest.mark.parametrize("how", ["print", "raise", "cause", "return"])
def test_a_secret_that_a_function_tells_is_redacted(do: Do, deployed: TestNode, how: str) -> None:
    """In its logs, in its errors and for an owner, too. What a handler returns is its answer."""
    value = f"tell-{how}-" + "0123456789abcdef" * 2
    set_secret(deployed, "api-key", value)
    tried = attempt(deployed, "t/f", {"do": "tell", "how": how})
    if how == "print":
        assert until(lambda: "twice" in log_of(deployed, tried.id))
        assert log_of(deployed, tried.id).count("[redacted:api-key]") == 7
    shown = {
        "answer": tried.response.text,
        "headers": str(tried.response.headers),
        "record": json.dumps(tried.record),
        "log": log_of(deployed, tried.id),
        "logs": casemate(deployed, "logs", "t/f", "--json").stdout,
        "node": deployed.errors.read_text(),
    }
    if how in {"raise", "cause"}:
        shown["error"] = json.dumps(tried.error)
        error_id = tried.response.json()["error_id"]
        shown["errors"] = casemate(deployed, "errors", "show", error_id).stdout
        assert "[redacted:api-key]" in shown["error"]
        assert "[redacted:api-key]" in shown["errors"]
    if how == "return":
        assert tried.answer == {"key": "[redacted:api-key]"}
    for where, text in shown.items():
        assert value not in text, where
        assert value[9:] not in text, where


def test_a_secret_that_a_process_keeps_is_redacted_later(deployed: TestNode, do: Do) -> None:
    """A reused process can tell in one invocation what it was given in another."""
    value = "kept-in-the-process-0123456789"
    set_secret(deployed, "api-key", value)
    deployed.deploy(
        SOURCE.read_text(),
        name="keeping",
        settings='isolation = "instance"',
        limits="concurrency = 1",
        grants=GRANTS,
        resources=RESOURCES,
        approve=True,
    )
    assert do("keep_secret", function="t/keeping") == {"length": len(value)}
    assert do("left", function="t/keeping") == {"left": ["[redacted:api-key]"]}


# -- identity --------------------------------------------------------------------------------


def test_an_identity_token_is_verified_with_the_keys_of_the_node(
    do: Do, deployed: TestNode
) -> None:
    token = do("token", audience="https://service.example.com")["token"]
    # As a service outside does it: from the issuer to its keys.
    found = httpx2.get(f"{deployed.url}/.well-known/openid-configuration").json()
    assert found["issuer"] == deployed.url
    keys = KeySet.import_key_set(httpx2.get(found["jwks_uri"]).json())
    decoded = jwt.decode(token, keys, algorithms=found["id_token_signing_alg_values_supported"])
    claims = decoded.claims
    jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": found["issuer"]},
        aud={"essential": True, "value": "https://service.example.com"},
        sub={"essential": True, "value": "function:t/f"},
        exp={"essential": True},
    ).validate(claims)
    assert claims["exp"] - claims["iat"] == 300
    assert claims["casemate"]["function"] == "f"
    assert deployed.get(f"/invocations/{claims['casemate']['invocation']}")["function"] == "f"
    assert not any(key.is_private for key in keys.keys)


def test_an_identity_token_is_no_credential_of_the_node(do: Do, deployed: TestNode) -> None:
    for audience in (deployed.url, "casemate", "t"):
        token = do("token", audience=audience)["token"]
        answer = httpx2.post(
            f"{deployed.url}/invoke/t/f",
            json={"do": "environment"},
            headers={"authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 401


# -- errors ----------------------------------------------------------------------------------


def test_errors_are_those_that_can_be_imported(do: Do) -> None:
    found = do("errors")
    assert {name: kind for name, (kind, _) in found.items()} == {
        "bucket": "DeniedError",
        "prefix": "DeniedError",
        "list": "DeniedError",
        "missing": "NotFoundError",
        "empty-key": "InvalidError",
        "long-key": "InvalidError",
        "surrogate": "InvalidError",
        "name": "InvalidError",
        "type": "InvalidError",
        "nan": "InvalidError",
        "no-key": "InvalidError",
        "not-json": "InvalidError",
        "large-item": "LimitError",
        "large-object": "LimitError",
        "large-stream": "LimitError",
        "full-bucket": "LimitError",
        "large-message": "LimitError",
        "function": "DeniedError",
    }
    assert "t/f may not read bucket none: not granted" in found["bucket"][1]
    assert "outside what is granted of it" in found["prefix"][1]
    assert all(text for _, text in found.values())


# -- processes and threads -------------------------------------------------------------------


def test_an_async_handler(deployed: TestNode) -> None:
    deployed.deploy(
        SOURCE.read_text(),
        name="coroutine",
        settings="",
        grants=GRANTS,
        resources=RESOURCES,
        approve=True,
        handler="app:async_handler",
    )
    answer = deployed.invoke({"count": 20}, function="t/coroutine").json()
    assert answer["keys"] == sorted(f"a/async-{n}" for n in range(20))


def test_threads_get_their_own_answers(do: Do) -> None:
    assert do("threads", count=100) == {"right": 100}


def test_many_instances_get_their_own_answers(do: Do) -> None:
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: do("threads", count=15), range(12)))
    assert found == [{"right": 15}] * 12


def test_a_child_has_no_capabilities(do: Do, deployed: TestNode) -> None:
    found = do("child")
    assert found["child"].startswith("UnavailableError: only the instance's first process")
    assert found["parent"] is False
    listed = deployed.get("/buckets/t/files/objects", prefix="a/child")["objects"]
    assert listed == []


@pytest.mark.parametrize("trust", ["normal", "low"])
def test_reused_instances(deployed: TestNode, do: Do, trust: str) -> None:
    """A handle belongs to the process: it works in each invocation and in none between them."""
    name = f"reused-{trust}"
    deployed.deploy(
        SOURCE.read_text(),
        name=name,
        settings=f'isolation = "instance"\ntrust = "{trust}"',
        grants=GRANTS,
        resources=RESOURCES,
        limits="concurrency = 1",
        approve=True,
    )
    function = f"t/{name}"
    counts = [do("keep_context", function=function)["count"] for _ in range(3)]
    assert counts == [1, 2, 3]
    do("late_thread", function=function)
    time.sleep(0.6)
    said = do("late", function=function)["late"]
    assert said == ["the invocation is over; its capabilities ended with it"]
    listed = deployed.get("/buckets/t/files/objects", prefix="a/late")["objects"]
    assert listed == []


def test_code_that_is_not_trusted_uses_handles_as_well(deployed: TestNode, do: Do) -> None:
    deployed.deploy(
        SOURCE.read_text(),
        name="low",
        settings='trust = "low"',
        grants=GRANTS,
        resources=RESOURCES,
        approve=True,
    )
    assert do("objects", function="t/low")["new"] == "zweiter, ü"
    assert do("whole", function="t/low", size=5 << 20)["alike"]


def test_there_are_no_handles_at_import(deployed: TestNode) -> None:
    """The socket, and so everything that can be asked for, is given to instances alone."""
    code = (
        "import os, stat\n"
        "FOUND = []\n"
        "for n in range(3, 64):\n"
        "    try:\n"
        "        FOUND.append([n, stat.S_ISSOCK(os.fstat(n).st_mode)])\n"
        "    except OSError:\n"
        "        pass\n"
        "import socket\n"
        "REPLIES = []\n"
        "for n, is_socket in FOUND:\n"
        "    if not is_socket:\n"
        "        continue\n"
        "    s = socket.socket(fileno=os.dup(n))\n"
        "    try:\n"
        "        s.setblocking(False)\n"
        "        REPLIES.append([s.getpeername(), s.recv(1).hex()])\n"
        "    except OSError as e:\n"
        "        REPLIES.append(type(e).__name__)\n"
        "    s.close()\n"
        "def handler(event, context):\n"
        "    return REPLIES\n"
    )
    deployed.deploy(code, name="early", grants=GRANTS, resources=RESOURCES, approve=True)
    replies = deployed.invoke({}, function="t/early").json()
    assert all(reply == "BlockingIOError" for reply in replies), replies


def test_environment_variables(deployed: TestNode) -> None:
    deployed.deploy(
        SOURCE.read_text(),
        name="variables",
        resources='[function.variables.environment]\nLEVEL = "débug"\n' + RESOURCES,
    )
    found = deployed.invoke({"do": "environment"}, function="t/variables").json()
    assert found["LEVEL"] == "débug"
    own = [name for name in found["names"] if name.startswith("CASEMATE_")]
    decoys = [name for name in own if name.startswith("CASEMATE_BACKUP_")]
    assert len(decoys) == 4 and own == [*decoys, "CASEMATE_FUNCTION", "CASEMATE_PROJECT"]
    assert not [name for name in found["names"] if "proxy" in name.lower()]
    assert not any(SECOND in value or deployed.key in value for value in found["values"])


# -- granted and used ------------------------------------------------------------------------


@pytest.fixture
def counted(deployed: TestNode) -> Iterator[str]:
    deployed.deploy(
        SOURCE.read_text(), name="counted", grants=GRANTS, resources=RESOURCES, approve=True
    )
    yield "t/counted"


def test_uses_and_denials_are_on_record(deployed: TestNode, do: Do, counted: str) -> None:
    do("objects", function=counted)
    do("messages", function=counted)
    tried = attempt(deployed, counted, {"do": "errors"})
    assert tried.response.status_code == 200

    def shown() -> dict[str, Any]:
        done = casemate(deployed, "grants", "show", counted, "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    uses = until(lambda: shown()["uses"])
    used = {(use["grant"], use["action"], use["prefix"]): use["count"] for use in uses}
    assert used["bucket files", "write", "a/"] >= 2
    assert used["bucket files", "delete", "a/"] >= 2
    assert used["queue jobs", "send", ""] >= 3
    assert used["topic news", "publish", ""] == 1
    assert not any(grant.startswith(("table sessions", "secret")) for grant, _, _ in used)
    found = denials(deployed, kind="capability", invocation=tried.id)
    assert {(denial["action"], denial["resource"], denial["reason"]) for denial in found} == {
        ("bucket:read", "bucket:t/none", "not granted"),
        ("bucket:read", "bucket:t/files", "outside what is granted of it"),
        ("bucket:list", "bucket:t/files", "outside what is granted of it"),
        ("function:invoke", "function:t/none", "not granted"),
    }
    assert {denial["principal"] for denial in found} == {"function:t/counted"}
