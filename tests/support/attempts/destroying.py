"""Whoever may read, or use a part, is to purge or drop the whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import httpx2

from support.node import TestNode

from . import Attempt, Attempts, shown
from .kernel import BROKEN
from .others import Somebody, owner

APP = """
def handler(event, context):
    names = {"context": context, "event": event}
    try:
        return {"said": repr(eval(event["ask"], names))[:200]}
    except BaseException as error:
        return {"error": type(error).__name__}
"""
RESOURCES = """
[bucket.keep]
[table.keep]
key = "id"
[queue.keep]
[topic.keep]
"""
GRANTS = """
queues = ["keep"]
topics = ["keep"]
buckets = [{ name = "keep", actions = ["read", "list"] }]
tables = [{ name = "keep", actions = ["get", "query", "put"] }]
"""
ONLY = """
permit(principal == Casemate::Token::"{token}", action == Casemate::Action::"{action}", resource);
"""
DESTROYING = {
    "the queue dropped": ("DELETE", "/queues/d/keep"),
    "the queue purged": ("POST", "/queues/d/keep/purge"),
    "the topic dropped": ("DELETE", "/topics/d/keep"),
    "the topic purged": ("POST", "/topics/d/keep/purge"),
    "the table dropped": ("DELETE", "/tables/d/keep"),
    "the bucket dropped": ("DELETE", "/buckets/d/keep"),
    "dead letters purged": ("POST", "/queues/d/keep/dead-letters/purge"),
    "the function removed": ("DELETE", "/functions/d/f"),
    "recordings deleted": ("DELETE", "/recordings/d/" + "0" * 32),
    "a secret deleted": ("DELETE", "/secrets/d/keep"),
}
WHO: dict[str, tuple[str, ...]] = {
    "an auditor": ("auditor",),
    "an invoker": ("invoker@d",),
    "a developer of another project": ("developer@e",),
    "an owner of another project": ("owner@e",),
    "a developer of one function": ("developer@d/f",),
    "an owner of one function": ("owner@d/f",),
}
MAY = {
    ("a developer of one function", "dead letters purged"),
    ("an owner of one function", "the function removed"),
}
SINGLE = ("queue:read", "table:get", "table:query", "bucket:delete", "bucket:read", "queue:send", "topic:publish",
          "dead-letter:read", "function:read", "table:put")  # fmt: skip
SPELLED = {
    "a version of a method by a header": (
        "POST",
        "/tables/d/keep/query",
        {"x-http-method-override": "DELETE"},
    ),
    "a slash at the end": ("DELETE", "/tables/d/keep/", {}),
    "two slashes": ("DELETE", "/tables//d/keep", {}),
    "an encoded name": ("DELETE", "/tables/d/%6beep", {}),
    "another project, then dots": ("DELETE", "/tables/e/../d/keep", {}),
    "another project, encoded dots": ("DELETE", "/tables/e%2f..%2fd/keep", {}),
    "a name with NUL": ("DELETE", "/tables/d/keep%00x", {}),
    "a name in capitals": ("DELETE", "/TABLES/d/keep", {}),
    "another project in the query": ("DELETE", "/tables/e/keep?project=d", {}),
    "a parameter": ("DELETE", "/tables/d;x/keep", {}),
}
CODE = {
    "the table, item by item": "context.table('keep').delete('x')",
    "the table, item by item, of its revision": "context.table('keep').delete('x', if_revision=1)",
    "the table, by a message of its own": "context.table('keep')._call('drop')",
    "an item, by a message of its own": "context.table('keep')._call('delete', key='x', sort=None)",
    "the queue, by a message of its own": "context.queue('keep')._channel.call('queue.purge', queue='keep')",
    "the queue, by its messages": "context.queue('keep')._channel.call('queue.take', queue='keep', limit=9)",
    "the topic, by a message of its own": "context.topic('keep')._channel.call('topic.drop', topic='keep')",
    "the bucket's handle": "context.bucket('keep').delete('x')",
    "the bucket, by an empty object": "context.bucket('keep').put('x', b'')",
    "another project's table": "context.table('../e/keep').delete({'id': 'x'})",
}


def there(node: TestNode) -> str:
    """Return what is left of all that is to be kept."""
    own = owner(node)
    return "|".join(
        (
            own.ask("POST", "/tables/d/keep/get", {"key": "x"}).text[:40],
            str(own.ask("GET", "/buckets/d/keep/object?key=x").content[:8]),
            own.ask("GET", "/queues/d/keep").text[:160],
            str(own.ask("GET", "/topics/d/keep").status_code),
            str(own.ask("GET", "/functions/d/f").status_code),
        )
    )


def prepare(node: TestNode) -> None:
    node.deploy(APP, project="d", grants=GRANTS, resources=RESOURCES, approve=True, unguarded=True)
    node.deploy(APP, project="e", resources=RESOURCES, unguarded=True)
    own = owner(node)
    own.ask(
        "PUT",
        "/buckets/d/keep/object?key=x",
        content=b"content",
        headers={"content-type": "text/plain"},
    )
    own.keeps("d", "keep", b"content of a secret")
    node.invoke({"ask": "context.table('keep').put({'id': 'x'})"}, function="d/f")
    node.invoke({"ask": "context.queue('keep').send({'x': 1})"}, function="d/f")


def tried(node: TestNode, name: str, ask: Callable[[], httpx2.Response], before: str) -> Attempt:
    answer = ask()
    after = there(node)
    return Attempt(
        name,
        after != before or answer.status_code in (200, 202, 204),
        f"{answer.status_code} {after if after != before else ''}",
    )


def only(node: TestNode, action: str) -> Somebody:
    """Return somebody whom a policy lets do one thing."""
    own = owner(node)
    found = own.made("invoker@e/none")
    text = ONLY.format(token=found.token, action=action)
    name = f"only-{action.replace(':', '-')}"
    answer = own.ask("PUT", f"/policies/{name}", {"text": text})
    assert answer.status_code in (200, 201, 204), answer.text
    return found


def attempts(node: TestNode) -> Attempts:
    """Try all; what should be there is looked at after each."""
    prepare(node)
    before = there(node)
    assert before.count("200") == 2 and "content" in before, before
    for who, roles in WHO.items():
        somebody = owner(node).made(*roles)
        for what, (method, path) in DESTROYING.items():
            if (who, what) not in MAY:
                yield tried(node, f"{who}: {what}", partial(somebody.ask, method, path), before)
    for action in SINGLE:
        somebody = only(node, action)
        for what, (method, path) in DESTROYING.items():
            yield tried(
                node, f"{action} alone: {what}", partial(somebody.ask, method, path), before
            )
    reader = only(node, "table:query")
    told = reader.ask("POST", "/tables/d/keep/query", {})
    yield from shown("a policy that lets do one thing", told.status_code == 200, told.text[:90])
    for what, (method, path, headers) in SPELLED.items():
        answer = reader.ask(method, path, {} if method == "POST" else None, headers=headers)
        after = there(node)
        yield Attempt(f"spelled: {what}", after != before, f"{answer.status_code}")
    for what, code in CODE.items():
        said = node.invoke({"ask": code}, function="d/f").text
        broken = any(one in said for one in BROKEN)
        told = f"tries nothing: {said}" if broken else said
        yield Attempt(f"a function: {what}", broken or there(node) != before, told[:90])
    node.deploy(APP, project="d", unguarded=True)
    after = there(node)
    yield Attempt("a manifest without them", after != before, after)
    owner(node).ask("DELETE", "/functions/e/f")
    owner(node).ask("DELETE", "/tables/e/keep")
    after = there(node)
    yield Attempt("those of the same name of another project dropped", after != before, after)
    yield from _as_an_owner(node)


def _as_an_owner(node: TestNode) -> Attempts:
    """Show that all of it is what is asked to destroy: an owner does it so."""
    own = owner(node)
    paths = {what: way for what, way in DESTROYING.items() if "dropped" not in what}
    for what, (method, path) in (paths | DESTROYING).items():
        answer = own.ask(method, path)
        missing = "recordings" in what and answer.status_code == 404
        done = answer.status_code < 300 or missing
        yield from shown(f"an owner: {what}", done, f"{answer.status_code} {answer.text[:90]}")
