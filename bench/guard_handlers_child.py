"""One process of `bench.guard_handlers`. Needs the standard library, and what the handler needs.

Arguments: `handler`, `on` or `off`, a handler's name and the folder of its module; or `hostile`.
Prints JSON: seconds of an invocation, null if a package is not there; or milliseconds by event.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import random
import struct
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
_SECONDS = 1.0
_CITIES = ("Paris", "Rome", "London", "Oslo", "Lima")
_ROWS = {"rows_10000": 10_000, "numbers": 10_000, "sql_1000": 500, "report": 1000, "jinja": 500}
_WEB = ("flask", "fastapi", "django")
_WEB_ROWS = 200
_QUESTIONS = 4
"""About one event: later ones sort what the first have gone through."""
_TIMES = 3


def _event() -> dict[str, Any]:
    chance = random.Random(20261126)
    rows = [
        {
            "id": n,
            "name": f"customer {chance.randrange(3000)}",
            "city": chance.choice(_CITIES),
            "price": round(chance.random() * 100, 2),
            "count": chance.randrange(1, 9),
        }
        for n in range(10_000)
    ]
    lines = [f"{r['id']},{r['name']},{r['city']},{r['price']}" for r in rows]
    body = "id,name,city,price\n" + "\n".join(lines)
    return {"name": "Ada Lovelace", "rows": rows, "body": body}


def _data(name: str) -> bytes:
    if name != "thumbnail":
        return random.Random(1).randbytes(100_000)
    import io

    image: Any = importlib.import_module("PIL.Image")

    out = io.BytesIO()
    noise = random.Random(2).randbytes(400 * 300 * 3)
    image.frombytes("RGB", (400, 300), noise).resize((1200, 900)).save(out, "JPEG", quality=75)
    return out.getvalue()


def _given(name: str, event: dict[str, Any]) -> dict[str, Any]:
    """Return what a handler gets: nobody sends ten thousand rows to have a thumbnail made."""
    loops: Any = importlib.import_module("guard_loops_code")
    if name in loops.LOOPS:
        return dict(loops.given(name))
    announced: Any = importlib.import_module("guard_announced_code")
    if name in announced.ANNOUNCED:
        return dict(announced.given(name))
    if name == "json_of_1_mb":
        return {"body": json.dumps({"orders": event["rows"]})}
    rows = _WEB_ROWS if name in _WEB else _ROWS.get(name, 0)
    given: dict[str, Any] = {"name": event["name"], "rows": event["rows"][:rows]}
    return given | ({"body": event["body"]} if name in ("csv", "archive") else {})


def handler(mode: str, name: str, folder: str) -> dict[str, float] | None:
    """Return seconds, the best of all that fit into a second: the others met something else.

    Of the `first` invocation of a process, as one that is forked or set back for each call serves,
    and of `later` ones, when all is there that the first has made. None without its packages.
    """
    guard: Any = None
    sys.path.insert(0, folder)
    from casemate.guard import setting_up
    from casemate.guard.core import Guard
    from casemate.runner.filling import fill_holes

    if mode == "on":
        setting_up.warm()
    # As a base zygote does: rows that lie in the holes of what was freed are slower to go through.
    fill_holes()
    if mode == "on":
        guard = Guard(folder)
        setting_up.before_import(guard)
        guard.acts.deps = sysconfig.get_path("purelib") + "/"
        setting_up.before_handler(guard, {})
    try:
        module = importlib.import_module(f"handler_{name}")
        data = _data(name)
    except ModuleNotFoundError:
        return None
    if guard is not None:
        setting_up.after_import(guard)
    # As a zygote does: what was there before is not gone through with each event.
    gc.collect()
    gc.freeze()
    event = _given(name, _event())
    text = json.dumps(event)

    def once() -> float:
        given = json.loads(text)
        gc.collect()
        begun = time.process_time()
        if guard is not None:
            guard.begin(given)
            guard.add("bucket:photos", data)
        module.handler(given, data)
        if guard is not None:
            guard.end()
        return time.process_time() - begun

    return {"first": _best(lambda: _in_fork(once)), "later": _best(once)}


def _best(measure: Callable[[], float]) -> float:
    best = float("inf")
    until = time.perf_counter() + _SECONDS
    while time.perf_counter() < until:
        best = min(best, measure())
    return best


def _in_fork(measure: Callable[[], float]) -> float:
    """Return what a fork of this process measures. Raises ChildProcessError if it says nothing."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(theirs, struct.pack("d", measure()))
        os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as answer:
        told = answer.read()
    os.waitpid(pid, 0)
    if len(told) != struct.calcsize("d"):
        raise ChildProcessError("the fork that was to be measured has ended")
    return float(struct.unpack("d", told)[0])


def hostile() -> dict[str, float]:
    """Return milliseconds of a question of a sink for each event, of the worst of three texts.

    Of the first question about it, or of a later one, whichever takes longer.
    """
    from casemate.guard.budget import ExhaustedError
    from casemate.guard.core import Guard

    kinds: Any = importlib.import_module("guard_hostile")
    found = {}
    for name, make in kinds.HOSTILE.items():
        value = make()
        worst = 0.0
        for question in kinds.QUESTIONS:
            best = [float("inf")] * _QUESTIONS
            for _ in range(_TIMES):
                guard = Guard("/nowhere")
                guard.begin(value)
                for number in range(_QUESTIONS):
                    begun = time.thread_time()
                    with contextlib.suppress(ExhaustedError):
                        guard.spans(f"{question} {number}")
                    best[number] = min(best[number], time.thread_time() - begun)
            worst = max(worst, *best)
        found[name] = worst * 1e3
    return found


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    print(json.dumps(hostile() if what == "hostile" else handler(*rest)))
