"""Runs idioms of careful code on naughty strings under the sink guard, all in one process.

Arguments: folder with `app.py`, how many pairs, seed. Writes to `answers.json` there the pairs that
were stopped: idiom, string, record.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))
sys.path.insert(1, str(Path(__file__).with_name("guard_fakes")))

from casemate.guard import setting_up
from casemate.guard.core import Guard
from casemate.guard.verdict import BlockedError

_ALPHABET = "ab Z09'\"`;|&$<>(){}[]\\#*!%~=/.,:@-_\t\r\n\u00e9\u0130\u200b\U0001f600"


def naughty(chance: random.Random, fixed: list[str]) -> str:
    """Return a string of those that break things, one of signs, or both."""
    if chance.random() < 0.5:
        return chance.choice(fixed)
    signs = "".join(chance.choice(_ALPHABET) for _ in range(chance.randrange(1, 40)))
    return signs + chance.choice(fixed) if chance.random() < 0.3 else signs


def main() -> None:
    """Answer all."""
    folder, number, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    fixed = [*json.loads((folder / "strings.json").read_text()), os.getcwd(), str(folder)]
    guard = Guard(str(folder))
    told: list[dict[str, object]] = []
    guard.report = told.append
    sys.path.insert(0, str(folder))
    setting_up.before_import(guard)
    import app  # type: ignore[import-not-found]

    setting_up.after_import(guard)
    subprocess._fork_exec = None  # type: ignore[attr-defined]
    subprocess._USE_VFORK = subprocess._USE_POSIX_SPAWN = False  # type: ignore[attr-defined]
    socket.getaddrinfo = None  # type: ignore[assignment]
    idioms = [name for name in vars(app) if name.startswith("idiom_")]
    chance = random.Random(seed)
    stopped = []
    for turn in range(number):
        name = idioms[turn % len(idioms)]
        value = naughty(chance, fixed)
        event = json.loads(json.dumps({"v": value, "w": naughty(chance, fixed)}))
        told.clear()
        guard.begin(event)
        try:
            getattr(app, name)(event["v"])
        except (Exception, BlockedError):
            pass
        finally:
            guard.end()
        if told:
            stopped.append([name, event, told[0]])
    (folder / "answers.json").write_text(json.dumps(stopped))


if __name__ == "__main__":
    main()
