"""Runs a handler under the sink guard in a process of its own: audit hooks cannot be taken back.

Arguments: folder of the function's code, `module:function`, rules as JSON; where there are
packages, their folder and what they are denied, as JSON. Standard input: events, a JSON array.
Standard output: for each event one JSON line. Each event has a fork, as in a sandbox.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from casemate.guard import setting_up
from casemate.guard.core import Guard, Rule
from casemate.guard.sinks.file import check_written
from casemate.guard.sinks.response import check_answer
from casemate.guard.verdict import BlockedError


def _serve(guard: Guard, handler: object, event: object) -> dict[str, object]:
    records: list[dict[str, object]] = []
    guard.report = records.append
    denied: list[tuple[str, str, str]] = []
    guard.acts.tell = lambda *told: denied.append(told)
    guard.begin(event)
    answer: dict[str, object]
    try:
        result = handler(event, None)  # type: ignore[operator]
        check_written(guard)
        check_answer(guard, result)
        answer = {"outcome": "ok", "result": repr(result)}
    except BlockedError as error:
        answer = {"outcome": "blocked", "result": str(error)}
    except BaseException as error:
        trace = traceback.format_exc()
        answer = {"outcome": "error", "result": f"{type(error).__name__}: {error}", "trace": trace}
    blocked = guard.blocked
    guard.end()
    used = [[package, kind, count] for (package, kind), count in guard.acts.met.items()]
    answer |= {"used": used, "denied": denied}
    if blocked is not None:
        answer["outcome"] = "blocked"
    return answer | {"records": records}


def main() -> None:
    """Answer each event."""
    root, name, rules, *packages = sys.argv[1:]
    guard = Guard(root, [Rule(*rule) for rule in json.loads(rules)])
    sys.path.insert(0, root)
    setting_up.before_import(guard)
    if packages:
        sys.path.insert(0, packages[0])
        guard.acts.deps = f"{packages[0]}/"
        setting_up.before_handler(guard, json.loads(packages[1]))
    module_name, _, function_name = name.partition(":")
    __import__(module_name)
    handler = getattr(sys.modules[module_name], function_name)
    setting_up.after_import(guard)
    for event in json.load(sys.stdin):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            with open(write, "w") as output:
                json.dump(_serve(guard, handler, event), output)
            os._exit(0)
        os.close(write)
        with open(read) as answer:
            line = answer.read()
        os.waitpid(child, 0)
        print(line or json.dumps({"outcome": "crashed", "result": "", "records": []}), flush=True)


if __name__ == "__main__":
    main()
