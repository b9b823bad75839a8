"""Calls from function to function: only along what is granted, and with less at every link."""

from __future__ import annotations

import base64
import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.attacks import Attempt, attempt, denials
from support.cli import casemate
from support.node import TestNode

SHARES_NODE = True
FUNCTIONS = Path(__file__).parent.parent / "functions"
FILES = 'buckets = [{ name = "files", actions = ["read", "write"] }]'
MANIFEST = f"""
[project]
name = "flow"

[bucket.files]

[function.front]
handler = "app:handler"
limits = {{ timeout = "20s" }}
[function.front.grants]
invoke = ["middle", "back", "reaching"]

[function.hurried]
handler = "app:handler"
limits = {{ timeout = "1500ms" }}
[function.hurried.grants]
invoke = ["middle"]

[function.middle]
handler = "app:handler"
internal = true
limits = {{ timeout = "20s" }}
[function.middle.grants]
invoke = ["back"]
{FILES}

[function.back]
handler = "app:handler"
internal = true
[function.back.grants]
invoke = ["last"]
{FILES}

[function.last]
handler = "app:handler"
internal = true
[function.last.grants]
{FILES}

[function.small]
handler = "app:handler"
internal = true
limits = {{ request = "1KB" }}

[function.around]
handler = "app:handler"
limits = {{ timeout = "20s" }}
[function.around.grants]
invoke = ["around"]

[function.reaching]
handler = "app:handler"
internal = true
[function.reaching.grants]
egress = [{{ host = "api.example.com" }}]

[function.lonely]
handler = "app:handler"
"""


def deploy(node: TestNode, folder: Path, manifest: str) -> None:
    shutil.copytree(FUNCTIONS / "flow", folder, dirs_exist_ok=True)
    path = folder / "casemate.toml"
    path.write_text(manifest)
    done = casemate(node, "deploy", "--manifest", str(path), "--approve")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def flow(node: TestNode, tmp_path_factory: pytest.TempPathFactory) -> TestNode:
    deploy(node, tmp_path_factory.mktemp("flow"), MANIFEST)
    return node


def do(node: TestNode, what: str, *, function: str = "front", **arguments: Any) -> Any:
    return attempt(node, f"flow/{function}", {"do": what, **arguments}).answer


def through(
    *functions: str, last: dict[str, Any], allow: dict[str, list[str]] | None = None
) -> dict[str, Any]:
    """Return an event that has each function call the next one, and the last do something."""
    event = last
    for function in reversed(functions):
        event = {"do": "call", "function": function, "event": event}
        if allow and function in allow:
            event["allow"] = allow[function]
    return event


def innermost(answer: Any) -> Any:
    while isinstance(answer, dict) and isinstance(answer.get("result"), dict):
        answer = answer["result"]
    return answer


# -- who may call ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokens(flow: TestNode) -> dict[str, str]:
    made = {"owner": flow.key}
    for role in ("developer", "operator", "invoker"):
        done = casemate(flow, "tokens", "add", role, "--role", role, "--json")
        assert done.returncode == 0, done.stderr
        made[role] = json.loads(done.stdout)["text"]
    made["nobody"] = "cmt_none"
    return made


@pytest.mark.parametrize("who", ["owner", "developer", "operator", "invoker", "nobody"])
@pytest.mark.parametrize("name", ["middle", "middle:live", "middle:1", "middle@live", "%6Diddle"])
def test_no_token_reaches_an_internal_function(
    flow: TestNode, tokens: dict[str, str], who: str, name: str
) -> None:
    for method in ("POST", "GET"):
        answer = httpx2.request(
            method,
            f"{flow.url}/invoke/flow/{name}",
            content=b'{"do": "remaining"}',
            headers={
                "authorization": f"Bearer {tokens[who]}",
                "content-type": "application/json",
            },
        )
        assert answer.status_code in {400, 401, 403, 404, 405}
        assert b"remaining" not in answer.content
    ran = flow.get("/invocations", project="flow", function="middle")["invocations"]
    assert not any(record["outcome"] == "ok" and record["trigger"] == "invoke" for record in ran)


def test_nor_does_the_command_line_of_the_owner(flow: TestNode) -> None:
    done = casemate(flow, "invoke", "flow/middle", '{"do": "remaining"}')
    assert done.returncode != 0
    assert "remaining" not in done.stdout


def test_the_identity_token_of_a_function_that_may_is_of_no_use_outside(flow: TestNode) -> None:
    token = do(flow, "token")["token"]
    answer = httpx2.post(
        f"{flow.url}/invoke/flow/middle",
        json={"do": "remaining"},
        headers={"authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 401


def test_a_function_that_is_granted_it_reaches_it(flow: TestNode) -> None:
    answer = run(flow, through("middle", last={"do": "read", "key": "none"}))
    assert answer["result"]["error"] == "NotFoundError"
    raw = attempt(flow, "flow/front", through("middle", last={"do": "raw"})).response
    # Bytes are an answer of a function, and no JSON of the one that calls it.
    assert raw.status_code >= 500


def attempt_call(node: TestNode, caller: str, function: str) -> Attempt:
    event = through(function, last={"do": "remaining"})
    return attempt(node, f"flow/{caller}", event)


@pytest.mark.parametrize(
    ("caller", "function"), [("lonely", "middle"), ("front", "last"), ("front", "lonely")]
)
def test_a_function_that_is_not_granted_it_does_not(
    flow: TestNode, caller: str, function: str
) -> None:
    tried = attempt_call(flow, caller, function)
    assert tried.answer["error"] == "DeniedError"
    (denial,) = denials(flow, kind="capability", invocation=tried.id)
    assert (denial["action"], denial["resource"]) == (
        "function:invoke",
        f"function:flow/{function}",
    )


def test_other_projects_are_out_of_reach(flow: TestNode, tmp_path: Path) -> None:
    manifest = (
        '[project]\nname = "stranger"\n[function.front]\nhandler = "app:handler"\n'
        '[function.front.grants]\ninvoke = ["middle"]\n'
        '[function.middle]\nhandler = "app:handler"\ninternal = true\n'
    )
    deploy(flow, tmp_path, manifest)
    for name in ("flow/middle", "flow/front", "../flow/middle", "flow%2Fmiddle", "middle:live"):
        event = {"do": "call", "function": name, "event": {"do": "remaining"}}
        answer = attempt(flow, "stranger/front", event).answer
        assert answer["error"] in {"InvalidError", "DeniedError"}, name
    # A name of its own project is found there, and nowhere else.
    event = {"do": "call", "function": "middle", "event": {"do": "write", "key": "x"}}
    answer = attempt(flow, "stranger/front", event).answer
    assert answer["result"]["error"] == "DeniedError"
    event["function"] = "back"
    assert attempt(flow, "stranger/front", event).answer["error"] == "DeniedError"


# -- what is narrowed stays so ---------------------------------------------------------------

ALLOW = [
    "function back invoke",
    "function last invoke",
    "bucket files read",
    "bucket files write in/",
]


@pytest.mark.parametrize("functions", [("middle",), ("middle", "back"), ("middle", "back", "last")])
def test_allow_narrows_over_all_links(flow: TestNode, functions: tuple[str, ...]) -> None:
    narrowed = {"middle": ALLOW}
    write_in = {"do": "write", "key": "in/x"}
    write_out = {"do": "write", "key": "out/x"}
    assert innermost(run(flow, through(*functions, last=write_out))) == {"result": 7}
    assert innermost(run(flow, through(*functions, last=write_in, allow=narrowed))) == {"result": 7}
    found = innermost(run(flow, through(*functions, last=write_out, allow=narrowed)))
    assert found["error"] == "DeniedError"
    assert "outside what the calling function allows" in found["text"]


def run(node: TestNode, event: dict[str, Any]) -> Any:
    return attempt(node, "flow/front", event).answer


def test_a_link_in_between_cannot_widen(flow: TestNode) -> None:
    write = {"do": "write", "key": "out/x"}
    wide = ["bucket files read,write", "function back invoke", "function last invoke"]
    allow = {"middle": ALLOW, "back": wide, "last": wide}
    found = innermost(run(flow, through("middle", "back", "last", last=write, allow=allow)))
    assert found["error"] == "DeniedError"
    # And it can narrow further.
    allow["back"] = ["bucket files read", "function last invoke"]
    write["key"] = "in/x"
    found = innermost(run(flow, through("middle", "back", "last", last=write, allow=allow)))
    assert found["error"] == "DeniedError"


def test_calls_that_are_not_allowed_end_there(flow: TestNode) -> None:
    allow = {"middle": ["bucket files read"]}
    found = run(flow, through("middle", "back", last={"do": "remaining"}, allow=allow))
    assert found["result"]["error"] == "DeniedError"
    found = run(flow, through("middle", last={"do": "read", "key": "none"}, allow={"middle": []}))
    assert found["result"]["error"] == "DeniedError"


def test_what_cannot_be_narrowed_is_not_called(flow: TestNode) -> None:
    """All instances of a version share its way to the network."""
    assert run(flow, through("reaching", last={"do": "remaining"}))["result"]["remaining"] > 0
    allow = {"reaching": ["bucket files read"]}
    found = run(flow, through("reaching", last={"do": "remaining"}, allow=allow))
    assert found["status"] == 403
    allow = {"reaching": ["egress api.example.com:443 connect"]}
    found = run(flow, through("reaching", last={"do": "remaining"}, allow=allow))
    assert found["result"]["remaining"] > 0


@pytest.mark.parametrize("entry", ["", "bucket", "bucket files", "bucket files *", "all x read"])
def test_what_allow_does_not_know_is_an_error(flow: TestNode, entry: str) -> None:
    allow = {"middle": [entry]}
    found = run(flow, through("middle", last={"do": "remaining"}, allow=allow))
    assert found["error"] == "InvalidError"


# -- deadlines, circles, errors --------------------------------------------------------------


def test_the_deadline_shrinks(flow: TestNode) -> None:
    event = through("middle", last={"do": "remaining"})
    assert attempt(flow, "flow/hurried", event).answer["result"]["remaining"] <= 1.5
    found = innermost(run(flow, through("middle", "back", last={"do": "remaining"})))
    assert found["remaining"] <= 10


def test_a_call_ends_when_the_caller_has_to(flow: TestNode) -> None:
    since = time.time()
    tried = attempt(flow, "flow/hurried", through("middle", last={"do": "sleep", "seconds": 15}))
    # Caller and called have to end at the same moment; the caller may be told in time to say so.
    assert tried.response.status_code == 504 or "error" in tried.answer
    assert time.time() - since < 14, "it slept to its end"
    flow.wait_until(lambda: _slept(flow, since))


def _slept(node: TestNode, since: float) -> bool:
    """Tell whether the call has ended in its caller's time, too, and is on record."""
    records = node.get("/invocations", project="flow", function="middle")["invocations"]
    return any(
        record["started_at"] >= since
        and record["trigger"] == "function"
        and record["outcome"] != "ok"
        and record["run_ms"] < 12_000
        for record in records
    )


def test_a_circle_ends(flow: TestNode) -> None:
    found = do(flow, "around", function="around")
    assert found["depth"] == 15
    assert found["error"] == "LimitError"
    assert "16 functions long" in found["text"] or "chain" in found["text"]


@pytest.mark.parametrize("what", ["fail", "bad"])
def test_of_an_error_only_status_and_id_are_told(flow: TestNode, what: str) -> None:
    tried = attempt(flow, "flow/front", through("middle", last={"do": what}))
    answer = tried.answer
    assert answer["status"] == 500 or answer["status"] == 502
    assert answer["error_id"].startswith("err_")
    assert "private" not in tried.response.text
    told = f"middle answered with status {answer['status']}"
    assert answer["text"] == f"{told}: its owner finds the reason by the error id"
    # Which the owner finds, with all of it.
    error = flow.get(f"/errors/{answer['error_id']}")
    assert (error["function"], error["project"]) == ("middle", "flow")
    if what == "fail":
        assert error["message"] == "private words"


def test_an_event_that_is_too_large_is_refused(flow: TestNode) -> None:
    assert do(flow, "big", size=1000)["result"] == {"size": 1000}
    found = do(flow, "big", size=7 << 20)
    assert found.get("status") == 413 or found.get("error") in {"LimitError", "InvalidError"}


def test_a_token_tells_how_it_came_to_be(flow: TestNode) -> None:
    answer = run(flow, through("middle", "back", last={"do": "token"}))
    claims = json.loads(base64.urlsafe_b64decode(innermost(answer)["token"].split(".")[1] + "=="))
    assert claims["sub"] == "function:flow/back"
    assert claims["casemate"]["chain"] == ["flow/front", "flow/middle"]


IN_LINE = """
[project]
name = "line"
[function.back]
handler = "app:back"
limits = { concurrency = 1, queue_time = "20s", timeout = "20s" }
[function.front]
handler = "app:front"
limits = { timeout = "20s" }
[[function.front.errors]]
place = "*"
what = "*"
reason = "what is tested tells how the host refuses"
"""
IN_LINE_SOURCE = """
import time
def back(event, context):
    time.sleep(event)
    return "ran"
def front(event, context):
    if event:
        return [context.invoke("back", each, wait=False) for each in event]
    try:
        return context.invoke("back", 0)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
"""
MAY_CALL = '[function.front.grants]\ninvoke = ["back"]\n'
TAKEN = {
    "grant": "DeniedError: line/front may not invoke function back: no longer granted by the live",
    "function": "InvocationError: back answered with status 404: there is no such function",
    "nothing": "ran",
}


def _take(node: TestNode, taken: str, function: str) -> None:
    """Withdraw the grant, or remove a function."""
    if taken == "grant":
        node.deploy_project(IN_LINE, IN_LINE_SOURCE)
    elif taken == "function":
        gone = node.client.delete(f"{node.url}/api/v1/functions/line/{function}")
        assert gone.status_code < 300, gone.text


@pytest.mark.parametrize("taken", list(TAKEN))
def test_what_is_taken_while_a_call_waits_in_line_is_not_done(node: TestNode, taken: str) -> None:
    node.deploy_project(IN_LINE + MAY_CALL, IN_LINE_SOURCE)
    found: dict[str, str] = {}

    def call(function: str, event: Any) -> None:
        answer = httpx2.post(
            f"{node.url}/invoke/line/{function}",
            json=event,
            headers={"authorization": f"Bearer {node.key}"},
            timeout=30,
        )
        found[function] = answer.json()

    asked = (("back", 3), ("front", None))
    calls = [threading.Thread(target=call, args=each) for each in asked]
    for each in calls:
        each.start()
        time.sleep(0.5)
    _take(node, taken, "back")
    for each in calls:
        each.join()
    assert found["back"] == "ran"
    assert found["front"].startswith(TAKEN[taken])


@pytest.mark.parametrize("taken", ["grant", "function", "nothing"])
def test_what_a_function_had_kept_is_not_done_without_its_grant(node: TestNode, taken: str) -> None:
    node.deploy_project(IN_LINE + MAY_CALL, IN_LINE_SOURCE)

    def state(invocation: str) -> str:
        found = node.get(f"/functions/line/back/invocations/{invocation}")
        return str(found["state"])

    kept = node.invoke([2, 0, 0], function="line/front")
    assert kept.status_code == 200 and len(kept.json()) == 3
    time.sleep(0.5)
    _take(node, taken, "front")
    ends = ("succeeded", "failed")
    node.wait_until(lambda: all(state(each) in ends for each in kept.json()))
    states = [state(each) for each in kept.json()]
    assert states == ["succeeded", *([ends[taken != "nothing"]] * 2)]
