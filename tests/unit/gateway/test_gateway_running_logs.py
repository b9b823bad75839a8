"""Running invocations are looked at together, and one that cannot be recorded holds up no other."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from casemate.gateway.running_logs import LOOK_SECONDS, RunningLogs
from casemate.sandbox.frames import Output


def running(name: str, *, age: float = 60.0, serving: str | None = None) -> tuple[Any, Any]:
    output = Output(1000)
    output.add(1.0, "stdout", b"line\n")
    raw = SimpleNamespace(received_at=time.time() - age)
    admitted = SimpleNamespace(request=SimpleNamespace(id=name, raw=raw))
    return SimpleNamespace(output=output, serving=name if serving is None else serving), admitted


class Seal:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def write(self, admitted: Any, output: Output) -> None:
        self.seen.append(admitted.request.id)
        if admitted.request.id == "bad":
            raise ValueError
        output.take()


def test_each_that_has_run_for_a_while_is_looked_at() -> None:
    seal = Seal()
    serving = (
        running("young", age=LOOK_SECONDS / 2),
        running("bad"),
        running("over", serving=""),
        running("next", serving="another"),
        running("long"),
        (SimpleNamespace(output=None, serving="silent"), running("silent")[1]),
    )
    logs = RunningLogs(SimpleNamespace(serving=lambda: serving), seal)  # type: ignore[arg-type]
    logs.look()
    assert seal.seen == ["bad", "long"]
    logs.look()
    assert seal.seen == ["bad", "long", "bad"]
