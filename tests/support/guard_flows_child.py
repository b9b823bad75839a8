"""Takes every way of `guard_flows.py` in one process. Argument: the folder with `code`,
`installed`.

Standard input: the ways, a JSON array. Written to `answers.json` there: for each `{"attack": bool |
null, "harmless": bool | null}`, whether it was stopped; null if the text has no payload any more.
"""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))
sys.path.insert(1, str(Path(__file__).with_name("guard_fakes")))

from casemate.guard import setting_up
from casemate.guard.core import Guard
from casemate.guard.verdict import BlockedError


def _given(template: str, value: str) -> str:
    if "@base64" in template:
        return base64.b64encode(value.encode()).decode()
    if "@json" in template:
        return template.replace("@json", json.dumps(value))
    return template.replace("@", value)


def _stopped(guard: Guard, app: object, way: dict[str, object], value: str) -> bool | None:
    """Return whether a value was stopped; None if it did not get to the sink whole."""
    module = {"function": app, "helper": app.helper, "dependency": app.dep}[way["place"]]  # type: ignore[attr-defined,index]
    flow = getattr(module, f"flow_{way['transform']}_{way['join']}")
    sink = getattr(app, f"sink_{way['sink']}")
    event = {"v": _given(str(way["given"]), value), "method": "GET", "agent": "curl/8.0 (x; *)"}
    event = json.loads(json.dumps(event))
    guard.begin(event)
    try:
        try:
            text = flow(way["before"], event["v"], way["after"], way["name"])
        except Exception:
            return None  # a transform that does not take such a value
        same = str.lower if str(way["name"]).startswith("sql") else str
        if same(value.strip()) not in same(text):
            return None
        sink(text)
    except BlockedError:
        return True
    except Exception:
        return guard.blocked is not None
    finally:
        guard.end()
    return guard.blocked is not None


def main() -> None:
    """Answer all."""
    folder = Path(sys.argv[1])
    own = folder / "code"
    guard = Guard(str(own))
    guard.report = lambda record: None
    sys.path[:0] = [str(own), str(folder / "installed")]
    setting_up.before_import(guard)
    import app  # type: ignore[import-not-found]

    setting_up.after_import(guard)
    app.GUARD = guard
    # What is let through must do nothing.
    subprocess._fork_exec = None  # type: ignore[attr-defined]
    subprocess._USE_VFORK = subprocess._USE_POSIX_SPAWN = False  # type: ignore[attr-defined]
    socket.getaddrinfo = None  # type: ignore[assignment]
    answers = []
    for way in json.load(sys.stdin):
        harmless = str(way["harmless"])
        answers.append(
            {
                "attack": _stopped(guard, app, way, str(way["payload"])),
                "harmless": _stopped(guard, app, way, harmless) if harmless else None,
            }
        )
    # What an attack prints that was let through goes to standard output.
    (folder / "answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
