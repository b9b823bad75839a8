"""An event done again: what came of it as data, with the platform as it was recorded."""

from __future__ import annotations

import base64
import sys
from typing import Any

from casemate.runner.replaying import MAX_RESULT, replay


def job(**changes: Any) -> dict[str, Any]:
    frames = [
        [True, base64.b64encode(b'{"n":1,"op":"table.get"}').decode(), ""],
        [False, base64.b64encode(b'{"n":1,"ok":{"revision":3}}').decode(), ""],
    ]
    told = {
        "id": "inv_1", "project": "p", "function": "f", "version": 3, "handler": "app:handler",
        "memory": 1 << 28, "environment": {}, "at": 1.0, "shape": "", "event": {"a": 7},
        "frames": frames,
    }  # fmt: skip
    return {**told, **changes}


def outcome(handler: Any, **changes: Any) -> dict[str, Any]:
    return replay(job(**changes), lambda name: handler)


def test_results_errors_and_ends() -> None:
    assert outcome(lambda event, context: {"b": event["a"]}) == {"result": '{"b":7}', "calls": []}

    async def later(event: Any, context: Any) -> int:
        return int(event["a"])

    assert outcome(later)["result"] == "7"
    assert outcome(lambda event, context: 1 // 0)["error"] == "builtins.ZeroDivisionError"
    assert outcome(lambda event, context: sys.exit(3))["error"] == "builtins.SystemExit"
    assert "result" not in outcome(lambda event, context: object())
    large = outcome(lambda event, context: "x" * (MAX_RESULT + 1))["result"]
    assert "SHA-256" in large and len(large) < 200


def test_what_a_handler_asks_for_is_compared_and_nothing_is_done() -> None:
    def handler(event: Any, context: Any) -> Any:
        return context._channel.call("table.get", b"body", key="k")[0]

    first = outcome(handler)
    assert first["result"] == '{"revision":3}' and "table.get" in first["calls"][0]
    assert outcome(handler) == first


def test_a_handler_that_cannot_be_loaded_is_an_error() -> None:
    def load(name: str) -> Any:
        raise ModuleNotFoundError(name)

    assert replay(job(), load) == {"error": "builtins.ModuleNotFoundError", "calls": []}
