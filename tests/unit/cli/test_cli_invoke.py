"""Calling functions: where the event comes from, what is printed, how it ends."""

from __future__ import annotations

import base64
import json

import pytest
from cli_node import Answer

from casemate.model.deployment import LIVE, Alias, AliasTarget, DeployedFunction, Version
from casemate.model.function import FunctionSpec
from casemate.model.trigger import QueueTrigger

PROBLEM = Answer(
    500,
    {"content-type": "application/problem+json"},
    b'{"title": "Internal error", "status": 500, "detail": "It failed.", "error_id": "err_7"}',
)


def sent(node) -> tuple[str, dict[str, str], bytes]:
    _, path, headers, body = node.requests[-1]
    return path, headers, body


def test_data_from_argument_file_and_stdin(cli, node, home) -> None:
    result = cli("invoke", "shop/cart", '{"a": 1}')
    assert (result.code, result.out, result.err) == (0, '{"message": "Hello"}', "")
    path, headers, body = sent(node)
    assert (path, body) == ("/invoke/shop/cart", b'{"a": 1}')
    assert headers["content-type"] == "application/json"
    (home / "event.json").write_text('{"b": 2}')
    cli("invoke", "shop/cart@beta", "--file", "event.json")
    assert sent(node)[0::2] == ("/invoke/shop/cart@beta", b'{"b": 2}')
    for extra in ([], ["-"], ["--file", "-"]):
        cli("invoke", "shop/cart@7", *extra, stdin=b'{"c": 3}')
        assert sent(node)[0::2] == ("/invoke/shop/cart@7", b'{"c": 3}')
    for data, body in (
        ('{"d": 4}', b'{"d": 4}'),
        ("@event.json", b'{"b": 2}'),
        ("-", b'{"c": 3}'),
    ):
        cli("invoke", "shop/cart", "--data", data, stdin=b'{"c": 3}')
        assert sent(node)[2] == body
        cli("invoke", "shop/cart", "-d", data, stdin=b'{"c": 3}')
        assert sent(node)[2] == body
    cli("invoke", "shop/cart", stdin=b"")
    assert sent(node)[2] == b"{}"


def test_at_a_terminal_without_data(terminal, node) -> None:
    assert terminal("invoke", "shop/cart").code == 0
    assert sent(node)[2] == b"{}"


def test_other_types(cli, node, home) -> None:
    (home / "x.bin").write_bytes(b"\xff\x00")
    assert cli("invoke", "a/b", "-f", "x.bin", "--content-type", "image/jpeg").code == 0
    assert sent(node)[2] == b"\xff\x00"


@pytest.mark.parametrize(
    "arguments",
    [
        ["a/b", "{name: Ada}"],
        ["a/b", "[" * 100_000],
        ["a/b", "{}", "--file", "x"],
        ["a/b", "{}", "--data", "{}"],
        ["a/b", "--data", "{}", "--file", "x"],
        ["a/b", "--data", "@missing"],
        ["a/b", "@event.json"],
        ["a/b", "--file", "missing"],
        ["a/b", "--file", "."],
        ["a/b", "{}", "--content-type", "a\r\nx: y"],
        ["a/b", "{}", "--timeout", "0"],
        ["a/b@", "{}"],
        ["a/b@../c", "{}"],
        ["a/b@0", "{}"],
    ],
)
def test_wrong_usage_sends_nothing(cli, node, arguments) -> None:
    result = cli("invoke", *arguments)
    assert result.code == 2
    assert "\nNext: " in result.err
    assert node.requests == []


def test_json_tells_everything(cli, node) -> None:
    node.answer.headers["x-request-id"] = "inv_1"
    document = json.loads(cli("invoke", "a/b", "{}", "--json").out)
    assert document["status"] == 200
    assert document["headers"]["content-type"] == "application/json"
    assert document["duration_ms"] > 0
    assert document["invocation_id"] == "inv_1"
    assert document["error_id"] is None
    assert document["body"] == {"message": "Hello"}
    node.answer = Answer(200, {"content-type": "image/png"}, b"\x89PNG")
    document = json.loads(cli("invoke", "a/b", "{}", "--json").out)
    assert base64.b64decode(document["body_base64"]) == b"\x89PNG"


def test_a_sealed_error_names_the_next_step(cli, node) -> None:
    node.answer = PROBLEM
    result = cli("invoke", "a/b", "{}")
    assert (result.code, result.out) == (1, "")
    assert "It failed." in result.err
    assert "casemate errors show err_7" in result.err
    document = cli("invoke", "a/b", "{}", "--json")
    assert document.code == 1
    assert json.loads(document.out)["error_id"] == "err_7"


def test_a_sealed_error_without_a_detail_tells_its_title(cli, node) -> None:
    body = b'{"title": "The function failed", "status": 500, "error_id": "err_8"}'
    node.answer = Answer(500, {"content-type": "application/problem+json"}, body)
    told = cli("invoke", "a/b", "{}").err
    assert "Error: 500: The function failed. (error id err_8)" in told
    assert "Next: `casemate errors show err_8`" in told
    node.answer = Answer(429, {"content-type": "application/problem+json"}, body)
    full = cli("invoke", "a/b", "{}").err
    assert "Next: Try again in a moment; `casemate errors show err_8`" in full
    # A hard budget of a day, or a quota, says how long.
    for wait, said in (("1", "in a"), ("30", "after 30s"), ("3600", "after 1h"), ("x", "in a")):
        headers = {"content-type": "application/problem+json", "retry-after": wait}
        node.answer = Answer(429, headers, body)
        assert f"Next: Try again {said}" in cli("invoke", "a/b", "{}").err


@pytest.mark.parametrize(("status", "code"), [(401, 4), (403, 4), (404, 3), (400, 1), (429, 1)])
def test_exit_codes(cli, node, status, code) -> None:
    node.answer = Answer(status, {"content-type": "application/problem+json"}, b"{}")
    result = cli("invoke", "a/b", "{}")
    assert result.code == code
    assert "Next: " in result.err


def test_a_function_that_is_not_there_is_told_with_one_of_nearly_its_name(cli, node) -> None:
    node.control.deployed["links", "follow"] = DeployedFunction(
        project="links", name="follow", versions=(), aliases=()
    )
    detail = b'{"detail": "There is no such function.", "next_step": "Look."}'
    node.answer = Answer(404, {"content-type": "application/problem+json"}, detail)
    result = cli("invoke", "links/folow", "{}")
    assert result.code == 3
    assert 'There is no function links/folow; did you mean "links/follow"?' in result.err
    assert "There is no such function." in cli("invoke", "links/follow", "{}").err


@pytest.mark.parametrize(
    ("qualifier", "said"),
    [
        ("canry", 'links/follow has no alias canry; did you mean "links/follow@canary"?'),
        ("beta", "links/follow has no alias beta."),
        ("9", "links/follow has no version 9."),
        ("canary", "There is no such function."),
    ],
)
def test_an_alias_that_is_not_there_is_told_with_one_of_nearly_its_name(
    cli, node, qualifier: str, said: str
) -> None:
    canary = Alias(project="links", function="follow", name="canary", targets=(), changed_at=0.0)
    node.control.deployed["links", "follow"] = DeployedFunction(
        project="links", name="follow", versions=(), aliases=(canary,)
    )
    detail = b'{"detail": "There is no such function.", "next_step": "Look."}'
    node.answer = Answer(404, {"content-type": "application/problem+json"}, detail)
    result = cli("invoke", f"links/follow@{qualifier}", "{}")
    assert result.code == 3
    assert said in result.err


@pytest.mark.parametrize(
    ("triggers", "step"),
    [
        ((QueueTrigger(name="work", queue="jobs"),), "`casemate trigger fire links/follow work`"),
        ((), 'a function with invoke = ["follow"] in its grants: it has no trigger.'),
    ],
)
def test_who_calls_an_internal_function_is_told_what_does(
    cli, node, triggers: tuple[QueueTrigger, ...], step: str
) -> None:
    spec = FunctionSpec(name="follow", handler="a:f", internal=True, triggers=triggers)
    version = Version(
        project="links", function="follow", number=1, digest="0" * 64, spec=spec,
        created_at=0.0, created_by="user:ada",
    )  # fmt: skip
    targets = (AliasTarget(version=1, weight=100),)
    live = Alias(project="links", function="follow", name=LIVE, targets=targets, changed_at=0.0)
    node.control.deployed["links", "follow"] = DeployedFunction(
        project="links", name="follow", versions=(version,), aliases=(live,)
    )
    node.answer = Answer(403, {"content-type": "application/problem+json"}, b"{}")
    result = cli("invoke", "links/follow", "{}")
    assert result.code == 4
    assert result.err.startswith("Error: 403: links/follow is internal: only its triggers")
    assert step in result.err


def test_an_error_status_of_the_function_itself(cli, node) -> None:
    node.answer = Answer(418, {"content-type": "text/plain"}, b"teapot")
    result = cli("invoke", "a/b", "{}")
    assert (result.code, result.out) == (1, "teapot")
    assert "418" in result.err


def test_bodies_are_piped_raw_and_shown_safe(cli, terminal, node, home) -> None:
    node.answer = Answer(200, {"content-type": "text/plain"}, b"a\x1b[2Jb\n")
    assert cli("invoke", "a/b", "{}").out == "a\x1b[2Jb\n"
    shown = terminal("invoke", "a/b", "{}").out
    assert "\x1b[2J" not in shown
    assert "a\\x1b[2Jb" in shown
    node.answer = Answer(200, {"content-type": "image/png"}, b"\x89PNG\x1b")
    assert "--output" in terminal("invoke", "a/b", "{}").out
    assert cli("invoke", "a/b", "{}", "-o", "out.png").out == ""
    assert (home / "out.png").read_bytes() == b"\x89PNG\x1b"
    assert cli("invoke", "a/b", "{}", "-o", "no/such/folder").code == 1


def test_slow_answers_end_in_time(cli, node, monkeypatch) -> None:
    import time

    class SlowDict(dict):
        def items(self):
            time.sleep(0.6)
            return super().items()

    node.answer.headers = SlowDict(node.answer.headers)
    result = cli("invoke", "a/b", "{}", "--timeout", "0.2")
    assert result.code == 5
    assert "too long" in result.err
