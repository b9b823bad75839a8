"""A function that leaves something for the next call, and looks for it: `{"plant": name}`."""

import builtins
import json
import os
import signal
import sys
import threading
import time
import types

STATE = []


class Thing:
    pass


def temporary_file():
    with open("/tmp/planted", "w") as file:
        file.write("x")


def thread():
    threading.Thread(target=time.sleep, args=(60,), name="planted", daemon=True).start()


def descriptor():
    os.dup2(os.open("/dev/null", os.O_RDONLY), 200)


def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


PLANTED = {
    "global": (lambda: STATE.append("x"), lambda: bool(STATE)),
    "class": (lambda: setattr(Thing, "planted", 1), lambda: hasattr(Thing, "planted")),
    "module": (
        lambda: sys.modules.setdefault("planted", types.ModuleType("planted")),
        lambda: "planted" in sys.modules,
    ),
    "builtin": (
        lambda: setattr(builtins, "planted", 1),
        lambda: hasattr(builtins, "planted"),
    ),
    "library": (
        lambda: setattr(json, "loads", lambda *_a, **_k: "planted"),
        lambda: json.loads("1") == "planted",
    ),
    "environment": (
        lambda: os.environ.__setitem__("PLANTED", "1"),
        lambda: "PLANTED" in os.environ,
    ),
    "file": (temporary_file, lambda: os.path.exists("/tmp/planted")),
    "folder": (lambda: os.chdir("/tmp"), lambda: os.getcwd() == "/tmp"),
    "import_path": (lambda: sys.path.insert(0, "/tmp"), lambda: "/tmp" in sys.path),
    "thread": (thread, lambda: any(t.name == "planted" for t in threading.enumerate())),
    "descriptor": (descriptor, lambda: is_open(200)),
    "signal": (
        lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
        lambda: signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN,
    ),
}


def handler(event, context):
    if "plant" in event:
        plant, is_there = PLANTED[event["plant"]]
        plant()
        return {"there": is_there()}
    return {"there": PLANTED[event["look"]][1]()}
