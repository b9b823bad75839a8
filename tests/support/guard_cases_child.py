"""Runs handlers under the sink guard, each in a fork. See `guard_cases.py`.

Arguments: folder with one folder for each handler, modules to import before. Standard input: events
by folder, as JSON. Standard output: for each one JSON line. Names are not resolved: no network.
"""

from __future__ import annotations

import importlib
import ipaddress
import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))
sys.path.insert(1, str(Path(__file__).with_name("guard_fakes")))

from casemate.guard import setting_up
from casemate.guard.core import Guard, place_of
from casemate.guard.sinks import file, response
from casemate.guard.verdict import BlockedError

_SECONDS = 20
_lookup = socket.getaddrinfo


def _getaddrinfo(host, *arguments, **named):  # type: ignore[no-untyped-def]
    """Resolve addresses, and `localhost`; `rebound.example` is at an address that is private."""
    if host == "rebound.example":
        host = "10.1.2.3"
    if host not in (None, "", "localhost"):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise socket.gaierror(socket.EAI_NONAME, "no such name") from None
    return _lookup(host, *arguments, **named)


def _answer(root: str, event: object) -> dict[str, object]:
    signal.alarm(_SECONDS)
    records: list[dict[str, object]] = []
    guard = Guard(root)
    guard.report = records.append
    sys.path.insert(0, root)
    answer: dict[str, object]
    if os.environ.get("SINK_GUARD") == "off":
        try:
            answer = {
                "outcome": "ok",
                "result": repr(importlib.import_module("app").handler(event, None)),
            }
        except BaseException as error:
            answer = {"outcome": "error", "result": f"{type(error).__name__}: {error}"}
        return answer | {"records": records}
    try:
        setting_up.before_import(guard)
        app = importlib.import_module("app")
        setting_up.after_import(guard)
        guard.begin(event)
        result = app.handler(event, None)
        file.check_written(guard, place_of(app.handler))
        response.check_answer(guard, result, place_of(app.handler))
        answer = {"outcome": "ok", "result": repr(result)}
    except BlockedError as error:
        answer = {"outcome": "blocked", "result": str(error)}
    except BaseException as error:
        trace = traceback.format_exc()
        answer = {"outcome": "error", "result": f"{type(error).__name__}: {error}", "trace": trace}
    if guard.blocked is not None:
        answer["outcome"] = "blocked"
    guard.end()
    return answer | {"records": records}


def main() -> None:
    """Answer each event."""
    folder, *preload = sys.argv[1:]
    socket.getaddrinfo = _getaddrinfo
    for name in preload:
        importlib.import_module(name)
    if "pymongo" in sys.modules:  # it looks for its server at least so often before it gives up
        sys.modules["pymongo.common"].MIN_HEARTBEAT_INTERVAL = 0.005  # type: ignore[attr-defined]
    for case, event in json.load(sys.stdin).items():
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            with open(write, "w") as output:
                json.dump(_answer(os.path.join(folder, case), event), output)
            os._exit(0)
        os.close(write)
        with open(read) as answer:
            line = answer.read()
        os.waitpid(child, 0)
        print(line or json.dumps({"outcome": "crashed", "result": "", "records": []}), flush=True)


if __name__ == "__main__":
    main()
