"""Every operation of the API, asked for by every role where it holds and where not.

The built-in ones, and one that a policy file of this test makes.

What each role may is written down here by hand, from docs/reference/policies.md, not taken from
the policies that are tested. An operation that is added without an entry fails the last test.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

import httpx2
import pytest

from casemate.api.app import OPERATIONS, PREFIX
from casemate.api.served import Served
from casemate.model.principal import BUILT_IN_ROLES
from support.attacks import AUTHENTICATION, AUTHORIZATION, REQUEST, denials, until
from support.cli import casemate
from support.node import TestNode

RECORDS = {"invocation:read", "log:read", "error:read", "denial:read"}
DATA = {
    "bucket:read", "bucket:write", "bucket:list", "bucket:delete", "table:get", "table:put",
    "table:query", "table:delete", "queue:send", "topic:publish",
}  # fmt: skip
EVERYTHING = {"everything"}
ROLES: dict[str, set[str]] = {
    "owner": EVERYTHING,
    "developer": {
        "function:read", "function:deploy", "function:alias", "function:invoke", "grant:read",
        "function:invoke-version", "trigger:fire", "advisories:read",
        "secret:list", "secret:write", "secret:lend", "secret:rotate", "queue:read",
        "token:write",
        "invocation:status", "queue:purge", "queue:drop", "table:drop", "bucket:drop",
        "dead-letter:read", "dead-letter:content", "dead-letter:write", *RECORDS, *DATA,
    },
    "operator": {
        "node:read", "node:backup", "node:audit", "function:read", "function:alias",
        "function:remove", "node:list", "node:drain", "node:place", "node:remove",
        "function:quarantine", "function:release", "restriction:write",
        "secret:rotate", "alerts:page",
        "advisories:read", "advisories:write", "advisories:except",
        "incidents:read", "incidents:write",
        "grant:read", "grant:approve", "vault:rotate", "queue:read", "queue:purge",
        "dead-letter:read", "dead-letter:write", *RECORDS,
    },
    "auditor": {
        "node:read", "node:audit", "node:list", "access:read", "access:review",
        "function:read", "grant:read", "secret:list", "account:read", "policy:read",
        "dead-letter:read", "journal:read", "findings:read", "advisories:read", *RECORDS,
        "incidents:read", *RECORDS,
    },
    "invoker": {"function:invoke", "invocation:status"},
    "clerk": {"invocation:read", "secret:list"},
}  # fmt: skip
CUSTOM = """\
@id("clerk")
permit (
  principal in Casemate::Role::"clerk",
  action in [Casemate::Action::"invocation:read", Casemate::Action::"secret:list"],
  resource
);
"""
OF_EVERYBODY = {
    "openapi", "listFunctions", "listSecrets", "listTokens", "whoami", "logout", "decide",
    "vaultKey", "health", "ready", "listBuckets", "listTables", "listQueues", "listSources",
    "listBuilderKeys", "listDeadLetterPlaces",
}  # fmt: skip
"""Any valid token may ask; who may see less is shown less."""
BY_THE_ENDPOINT = {
    # Decided within: what must be allowed, and where.
    "hasBundle": "function:deploy",
    "putBundle": "function:deploy",
    "addBuilderKey": "function:deploy",
    "putAttestation": "function:deploy",
    "revokeBuilderKey": "account:write",
    "addToken": "token:write",
    "putSecrets": "secret:write",
    "deployFunctions": "function:deploy",
    "checkDeploy": "function:deploy",
    "noteRefusedDeploy": "function:deploy",
    "revokeToken": "account:write",
    "restrict": "restriction:write",
    "liftRestriction": "restriction:write",
    "showInvocation": "invocation:read",
    "showError": "error:read",
    "showTrace": "invocation:read",
}
HIDDEN = ("showInvocation", "showError", "showTrace")
"""What one may not see is answered as what is not there, and recorded as denied."""
BY_WHAT_THEY_NAME = (
    "showInvocation",
    "showError",
    "showTrace",
    "addToken",
    "deployFunctions",
    "checkDeploy",
    "noteRefusedDeploy",
    "restrict",
)
"""The project is in the record, or in the body."""
OPEN = {
    "health", "ready", "login", "beginOidcLogin", "oidcLogin", "beginEnrolment", "confirmEnrolment",
    "workloadLogin",
}  # fmt: skip
"""Those who have no token yet may ask these."""
FAILING = "def handler(event, context):\n    raise ValueError('on purpose')\n"
OWN, OTHER, NODE = "own", "other", ""


@dataclass
class Callers:
    """A client for each role on the whole node and in project `own`, and the ids there are."""

    node: TestNode
    clients: dict[tuple[str, str], httpx2.Client] = field(default_factory=dict)
    ids: dict[tuple[str, str], str] = field(default_factory=dict)
    principals: dict[tuple[str, str], str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def callers(node: TestNode) -> Iterator[Callers]:
    made = Callers(node)
    put = node.client.put(f"{node.url}{PREFIX}/policies/clerk", json={"text": CUSTOM})
    assert put.status_code in (200, 201), put.text
    for role, scope in product(ROLES, (NODE, OWN)):
        binding = f"{role}@{scope}" if scope else role
        answer = node.client.post(
            f"{node.url}/api/v1/tokens",
            json={"name": f"{role}-{scope or 'node'}", "roles": [binding]},
        )
        assert answer.status_code == 201, answer.text
        headers = {"authorization": f"Bearer {answer.json()['text']}"}
        made.clients[role, scope] = httpx2.Client(headers=headers, timeout=30)
        made.principals[role, scope] = f"token:{answer.json()['token']['id']}"
    for project in (OWN, OTHER):
        node.deploy(FAILING, name="f", project=project)
        failed = node.invoke({}, function=f"{project}/f")
        made.ids["showInvocation", project] = failed.headers["x-request-id"]
        made.ids["showTrace", project] = failed.headers["x-request-id"]
        made.ids["showError", project] = failed.json()["error_id"]
    yield made
    for client in made.clients.values():
        client.close()


def _path(callers: Callers, operation: Served, project: str) -> str:
    """Return the path with things that are not there, but for records."""
    ghost = "0" * 64 if operation.id == "revokeBuilderKey" else "0123456789abcdef"
    identity = callers.ids.get((operation.id, project), ghost)
    filled = operation.path.format_map(_Filled(project=project or OWN, id=identity))
    query = set(operation.form.in_query) & {"project"}
    return PREFIX + filled + (f"?project={project}" if query and project else "")


class _Filled(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return {"digest": "0" * 64, "number": "1"}.get(name, "ghost")


def _is_of_projects(operation: Served) -> bool:
    """Tell whether where it acts is for the request to say: in a project, or on the node."""
    named = "{project}" in operation.path or "project" in operation.form.in_query
    return named or operation.id in BY_WHAT_THEY_NAME


def _allowed(operation: Served, role: str, scope: str, where: str) -> bool:
    """Say what must come out, from the tables above alone."""
    if operation.id in OF_EVERYBODY:
        return True
    action = operation.action.value if operation.action else BY_THE_ENDPOINT[operation.id]
    may = ROLES[role]
    if may is not EVERYTHING and action not in may:
        return False
    if scope == NODE:
        return True
    if operation.id in ("hasBundle", "putBundle", "addBuilderKey", "putAttestation"):
        return True  # a bundle is of no project until it is deployed, and a key of none
    return _is_of_projects(operation) and where == scope


def _ask(
    callers: Callers, operation: Served, client: httpx2.Client, where: str, role: str = "owner"
) -> httpx2.Response:
    """Ask in a way that is refused for its form, or finds nothing, where it is allowed."""
    body = None
    if operation.id == "addToken":
        body = {"name": f"x{secrets.token_hex(8)}", "roles": [f"{role}@{where}"]}
    elif operation.id == "deployFunctions":
        body = {"functions": [{"project": where, "function": "ghost", "digest": "0" * 64}]}
    elif operation.id in ("checkDeploy", "noteRefusedDeploy"):
        body = {"functions": [{"project": where, "function": "ghost"}]}
        if operation.id == "noteRefusedDeploy":
            body["kind"] = "grants"
    elif operation.id == "revokeBuilderKey":
        body = {"reason": "there is no such key"}
    elif operation.id == "putSecrets":
        body = {"secrets": [{"name": "ghost", "sealed": ""}]}
    elif operation.id == "restrict":
        body = {"kind": "alias", "project": where, "function": "ghost", "reason": "r"}
    elif operation.id == "liftRestriction":
        body = {"reason": "there is none"}
    url = callers.node.url + _path(callers, operation, where)
    with client.stream(operation.method, url, json=body) as answer:
        answer.read()
    return answer


def _places(operation: Served) -> tuple[str, ...]:
    if not _is_of_projects(operation):
        return (NODE,)
    on_node_too = operation.id not in BY_WHAT_THEY_NAME and "{project}" not in operation.path
    return (OWN, OTHER, NODE) if on_node_too else (OWN, OTHER)


AUTHENTICATED = [pytest.param(one, id=one.id) for one in OPERATIONS if one.id not in OPEN]


@pytest.mark.parametrize("operation", AUTHENTICATED)
def test_a_role_may_what_it_may_and_not_more(callers: Callers, operation: Served) -> None:
    since = time.time()
    refused = Counter[str]()
    for role, scope, where in product(ROLES, (NODE, OWN), _places(operation)):
        answer = _ask(callers, operation, callers.clients[role, scope], where, role)
        asked = f"{role}@{scope or 'node'} on {where or 'node'}: {answer.status_code}"
        assert answer.status_code != 401, asked
        assert answer.status_code < 500, asked
        allowed = _allowed(operation, role, scope, where)
        assert (answer.status_code != (404 if operation.id in HIDDEN else 403)) == allowed, asked
        if not allowed:
            refused[callers.principals[role, scope]] += 1

    def recorded() -> Counter[str]:
        found = denials(callers.node, kind=AUTHORIZATION, since=since) if refused else []
        return Counter(d["principal"] for d in found for _ in range(d["count"]))

    assert until(lambda: recorded() == refused), f"refused {refused}, on record {recorded()}"


@pytest.fixture(scope="module")
def nobody() -> Iterator[httpx2.Client]:
    """A client without a token; to make one reads all certificates of the host."""
    with httpx2.Client() as client:
        yield client


@pytest.mark.parametrize("operation", AUTHENTICATED)
def test_without_a_token_nothing_is_allowed(
    callers: Callers, nobody: httpx2.Client, operation: Served
) -> None:
    for where in _places(operation):
        since = time.time()
        answer = _ask(callers, operation, nobody, where)
        assert answer.status_code == 401
        (denial, *_) = denials(callers.node, kind=AUTHENTICATION, since=since)
        assert denial["principal"] == "anonymous:public"


def test_what_is_open_is_known() -> None:
    assert set(ROLES) == {*BUILT_IN_ROLES, "clerk"}
    assert {o.id for o in OPERATIONS if not o.authenticated} == OPEN
    without = {o.id for o in OPERATIONS if o.authenticated and o.action is None}
    assert without == (OF_EVERYBODY - OPEN) | set(BY_THE_ENDPOINT)


# -- what lists show ---------------------------------------------------------------------------

RESOURCES = "[bucket.b]\n[table.t]\nkey = 'id'\n[queue.q]\n[topic.n]\n"
GRANTS = (
    'buckets = [{ name = "b", actions = ["read"] }]\n'
    'tables = [{ name = "t", actions = ["get"] }]\nqueues = ["q"]\ntopics = ["n"]'
)
LISTS = {
    "/functions": {"owner", "developer", "operator", "auditor"},
    "/secrets": {"owner", "developer", "auditor", "clerk"},
    "/buckets/{project}": {"owner", "developer"},
    "/tables/{project}": {"owner", "developer"},
    "/queues/{project}": {"owner", "developer", "operator"},
}


@pytest.fixture(scope="module")
def filled(callers: Callers) -> Callers:
    """Something to see in both projects."""
    for project in (OWN, OTHER):
        callers.node.deploy(
            FAILING,
            name="holder",
            project=project,
            resources=RESOURCES,
            grants=GRANTS,
            approve=True,
        )
        done = casemate(callers.node, "secrets", "set", f"{project}/key", stdin="value-" + project)
        assert done.returncode == 0, done.stderr
    return callers


@pytest.mark.parametrize("role", list(ROLES))
@pytest.mark.parametrize("path", list(LISTS))
def test_a_list_shows_what_the_role_may_see(filled: Callers, path: str, role: str) -> None:
    for scope, project in product((NODE, OWN), (OWN, OTHER)):
        url = f"{filled.node.url}{PREFIX}{path.format(project=project)}"
        answer = filled.clients[role, scope].get(url)
        sees = role in LISTS[path] and scope in (NODE, project)
        # A project of which nothing is seen is told as one that there is not.
        assert answer.status_code in ((200,) if sees else (200, 404)), answer.text
        told = answer.json() if answer.status_code == 200 else {}
        found = [each for values in told.values() for each in values]
        if "{project}" not in path:
            found = [each for each in found if each["project"] == project]
        assert bool(found) == sees, f"{role}@{scope or 'node'} on {project}: {found}"


# -- more than one has, by giving it away ------------------------------------------------------

MAKERS = [
    ("developer", OWN, "owner"),
    ("developer", OWN, "owner@own"),
    ("developer", OWN, "developer"),
    ("developer", OWN, "developer@other"),
    ("developer", OWN, "operator@own"),
    ("developer", OWN, "auditor@own"),
    ("developer", NODE, "owner"),
    ("developer", NODE, "operator"),
    ("developer", NODE, "owner@other"),
    ("owner", OWN, "owner"),
    ("owner", OWN, "owner@other"),
    ("owner", OWN, "invoker@other/f"),
    ("operator", NODE, "invoker@own"),
    ("operator", NODE, "operator"),
    ("auditor", NODE, "auditor"),
    ("auditor", NODE, "owner"),
    ("invoker", NODE, "invoker"),
    ("invoker", OWN, "invoker@own"),
    ("clerk", NODE, "clerk"),
    ("clerk", OWN, "owner@own"),
]


@pytest.mark.parametrize(("role", "scope", "wanted"), MAKERS)
def test_no_token_can_more_than_its_maker(
    callers: Callers, role: str, scope: str, wanted: str
) -> None:
    since = time.time()
    answer = callers.clients[role, scope].post(
        f"{callers.node.url}/api/v1/tokens",
        json={"name": f"more-{abs(hash((role, scope, wanted)))}", "roles": [wanted]},
    )
    assert answer.status_code in (403, 422), answer.text
    assert "text" not in answer.json()
    found = denials(callers.node, kind=AUTHORIZATION, since=since)
    assert [d for d in found if d["principal"] == callers.principals[role, scope]]


LOOK_ALIKES = [
    "Owner@own", "OWNER@own", "owner@OWN", "owner @own", "owner@own ", "owner@own\n",
    "owner@own/../other", "owner@./own", "owner@*", "owner@", "@own", "owner@own@other",
    "owner@own/*", "\u043ewner@own", "owner@\u043ewn", "\uff4fwner@own", "owner\u200b@own",
    "owner%40own", "casemate.owner@own", 'owner"@own', "owner@own/F", "developer,owner@own",
]  # fmt: skip


@pytest.mark.parametrize("wanted", LOOK_ALIKES, ids=ascii)
def test_a_role_that_looks_like_another_is_given_to_nobody(callers: Callers, wanted: str) -> None:
    """Neither by who may give the one that it looks like, nor by who has it."""
    for role in ("owner", "developer"):
        before = {token["id"] for token in callers.node.get("/tokens")["tokens"]}
        answer = callers.clients[role, OWN].post(
            f"{callers.node.url}/api/v1/tokens",
            json={"name": f"alike-{secrets.token_hex(4)}", "roles": [wanted]},
        )
        assert answer.status_code in (400, 403, 404, 422), answer.text
        assert {token["id"] for token in callers.node.get("/tokens")["tokens"]} == before


HOSTILE_POLICIES = {
    "does-not-parse": "permit (principal, action, resource",
    "permits-all": "permit (principal, action, resource);",
    "built-in-id": '@id("casemate.owner") permit (principal is Casemate::User, action, resource);',
    "another-case": 'permit (principal in Casemate::Role::"Owner", action, resource);',
    "unknown-type": 'permit (principal == Other::User::"ada", action, resource);',
    "unknown-action": 'permit (principal, action == Casemate::Action::"all", resource);',
    "forbids-all": '@id("x") forbid (principal, action, resource);',
    "empty": "",
    "not-text": "\x00\x01",
    "too-long": "// " + "x" * 2_000_000,
}


@pytest.mark.parametrize("name", list(HOSTILE_POLICIES))
def test_a_policy_that_must_not_be_changes_nothing(callers: Callers, name: str) -> None:
    """Also from an owner of the node, and what held goes on to hold."""
    node = callers.node
    before = node.get("/policies")
    for client in (node.client, callers.clients["owner", OWN], callers.clients["clerk", NODE]):
        since = time.time()
        answer = client.put(
            f"{node.url}{PREFIX}/policies/hostile", json={"text": HOSTILE_POLICIES[name]}
        )
        if client is node.client:
            assert answer.status_code in (400, 409, 413, 422), answer.text
        elif answer.status_code == 413:  # refused before it is known who asks
            assert denials(node, kind=REQUEST, since=since)
        else:
            assert answer.status_code == 403
            assert denials(node, kind=AUTHORIZATION, since=since)
        assert node.get("/policies") == before
    assert callers.clients["clerk", NODE].get(f"{node.url}{PREFIX}/policies").status_code == 403


@pytest.mark.parametrize("role", ["developer", "operator", "auditor", "invoker", "clerk"])
@pytest.mark.parametrize("scope", [NODE, OWN])
def test_nobody_raises_itself(callers: Callers, role: str, scope: str) -> None:
    """By the owner's token, by a new user, or by a policy."""
    client, node = callers.clients[role, scope], callers.node
    since = time.time()
    owner = callers.principals["owner", NODE].partition(":")[2]
    tries = [
        client.delete(f"{node.url}/api/v1/tokens/{owner}"),
        client.post(f"{node.url}/api/v1/users", json={"name": "eve", "roles": ["owner"]}),
        client.put(
            f"{node.url}/api/v1/policies/eve",
            json={"text": '@id("eve") permit (principal, action, resource);'},
        ),
    ]
    assert [answer.status_code for answer in tries] == [403, 403, 403]
    found = denials(node, kind=AUTHORIZATION, since=since)
    mine = [d for d in found if d["principal"] == callers.principals[role, scope]]
    assert len(mine) == len(tries)


@pytest.mark.parametrize("role", list(ROLES))
def test_a_role_invokes_or_not(callers: Callers, role: str) -> None:
    may = role in ("owner", "developer", "invoker")
    for scope, project in product((NODE, OWN), (OWN, OTHER)):
        since = time.time()
        answer = callers.clients[role, scope].post(f"{callers.node.url}/invoke/{project}/f")
        allowed = may and scope in (NODE, project)
        assert answer.status_code == (500 if allowed else 403)
        if not allowed:
            (denial, *_) = denials(
                callers.node, kind=AUTHORIZATION, since=since, project=project, function="f"
            )
            assert denial["action"] == "function:invoke"
