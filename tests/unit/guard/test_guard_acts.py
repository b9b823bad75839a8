"""What packages of others do is told of them, and refused where the manifest denies it."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.guard.acts import EVERY, KINDS, MAX_MET, MAX_TOLD, Acts, PackageDeniedError
from support.guard import Guarded, guarded

CLIENT = """
import asyncio, ctypes, functools, os, socket, sqlite3, subprocess, tempfile, threading
from concurrent.futures import ThreadPoolExecutor
import http.client
import wire_
ROOT = ""


def connect():
    with socket.socket() as sock:
        sock.connect_ex(("127.0.0.1", 9))

def through():
    return wire_.connect()

def back(call):
    return call()

def start():
    return subprocess.run(["true"]).returncode

def forked():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)

def written():
    with tempfile.TemporaryFile() as file:
        file.write(b"x")

def read(path):
    with open(path) as file:
        return file.read()

def listed(path):
    return len(os.listdir(path))

def database(path):
    sqlite3.connect(path).close()

def native():
    ctypes.CDLL(None)

def native_symbol():
    return ctypes.pythonapi.connect is not None

def in_thread():
    one = threading.Thread(target=connect)
    one.start()
    one.join()

def in_bare_thread():
    # Nothing of the package is on the stack of this thread.
    made = http.client.HTTPConnection("127.0.0.1", 9)
    one = threading.Thread(target=made.connect)
    one.start()
    one.join()

def in_pool():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(wire_.connect).result()

async def awaited():
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, ("127.0.0.1", 9))
        except OSError as error:
            if isinstance(error, PermissionError):
                raise

async def as_task():
    await asyncio.create_task(awaited())

def generated():
    yield 1
    connect()
    yield 2

def by_exec():
    names = {}
    exec(compile("def f():\\n import wire_\\n wire_.connect()", "<made>", "exec"), names)
    names["f"]()

def as_the_function(root):
    # Code that says that it is a file of the function's.
    made = compile("import socket\\nwith socket.socket() as s: s.connect_ex(('127.0.0.1', 9))",
                   root + "/app.py", "exec")
    exec(made, {"__name__": "app"})

def with_other_frames():
    import sys
    kept = sys._getframe
    sys._getframe = lambda depth=0: None
    try:
        connect()
    finally:
        sys._getframe = kept

def with_the_functions_name():
    def made():
        connect_here = socket.socket()
        with connect_here as sock:
            sock.connect_ex(("127.0.0.1", 9))
    made.__code__ = made.__code__.replace(co_filename=ROOT + "/app.py")
    made()

def of_an_own_class():
    class Other(threading.Thread):
        @property
        def __casemate_begun_by__(self):
            return ()
    made = http.client.HTTPConnection("127.0.0.1", 9)
    one = Other(target=made.connect)
    one.start()
    one.join()

def in_the_functions_namespace(root):
    import sys
    made = "import socket as s_; s_.socket().connect_ex(('127.0.0.1', 9))"
    exec(compile(made, root + "/app.py", "exec"), vars(sys.modules["app"]))

def deep(depth):
    return deep(depth - 1) if depth else connect()

partial = functools.partial(connect)


class Dying:
    def __del__(self):
        connect()
"""
WIRE = """
import socket

def connect():
    with socket.socket() as sock:
        sock.connect_ex(("127.0.0.1", 9))
"""
APP = """
import asyncio, gc, os, threading
import client
import wire_
import socket


def own():
    with socket.socket() as sock:
        sock.connect_ex(("127.0.0.1", 9))


ROOT = os.path.dirname(__file__)
open(ROOT + "/data.txt", "w").write("d")
client.ROOT = ROOT
DOINGS = dict(vars(client))


def handler(event, context):
    what = event["do"]
    if what == "own":
        return own()
    if what == "called back":
        return client.back(own)
    if what == "awaited":
        return asyncio.run(client.awaited())
    if what == "task":
        return asyncio.run(client.as_task())
    if what == "own coroutine":
        async def main():
            await client.awaited()
        return asyncio.run(main())
    if what == "generated":
        return list(client.generated())
    if what == "dying":
        client.Dying()
        return gc.collect() and None
    if what == "reads own":
        return client.read(ROOT + "/data.txt") == "d"
    if what == "lists own":
        return client.listed(ROOT) > 0
    if what == "reads of packages":
        return len(client.read(wire_.__file__)) > 0
    if what == "reads of the system":
        return len(client.read("/etc/hosts")) >= 0
    if what == "as the function":
        return client.as_the_function(ROOT)
    if what == "in the function's namespace":
        return client.in_the_functions_namespace(ROOT)
    if what == "database":
        return client.database(event["path"])
    if what == "deep":
        return client.deep(500)
    return DOINGS[what]()
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    installed(folder, "Wire.Py", {"wire_.py": WIRE})
    installed(folder, "client", {"client/__init__.py": CLIENT})
    return folder


def installed(folder: Path, name: str, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    metadata = folder / f"{name.replace('.', '_')}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "RECORD").write_text("".join(f"{path},sha256=x,1\n" for path in files))


USED = {
    "own": set(),
    "connect": {("client", "egress")},
    "through": {("client", "egress"), ("wire-py", "egress")},
    "called back": set(),
    "partial": {("client", "egress")},
    "start": {("client", "process")},
    "forked": {("client", "process")},
    "written": {("client", "file")},
    "reads own": {("client", "file")},
    "lists own": {("client", "file")},
    "reads of packages": set(),
    "reads of the system": set(),
    "native": {("client", "native")},
    "native_symbol": {("client", "native")},
    "in_thread": {("client", "egress")},
    "in_bare_thread": {("client", "egress")},
    "in_pool": {("client", "egress"), ("wire-py", "egress")},
    "awaited": {("client", "egress")},
    "task": {("client", "egress")},
    "own coroutine": {("client", "egress")},
    "generated": {("client", "egress")},
    "by_exec": {("client", "egress"), ("wire-py", "egress")},
    "as the function": {("client", "egress")},
    "with_other_frames": {("client", "egress")},
    "with_the_functions_name": {("client", "egress")},
    "of_an_own_class": {("client", "egress")},
    # As the documentation says, that gets around it.
    "in the function's namespace": set(),
    "dying": {("client", "egress")},
    "deep": {("client", "egress")},
}


THREADS = ("in_thread", "in_bare_thread", "of_an_own_class")


def without_trace(what: str, found: tuple[tuple[str, str, str], ...]) -> set[tuple[str, str]]:
    """Return what was done, but for lines of source that are read to show why a thread ended."""
    told = {(package, kind) for package, kind, _ in found}
    return told - {("client", "file")} if what in THREADS else told


@pytest.fixture(scope="module")
def answers(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Guarded]:
    events = [{"do": what} for what in USED]
    found = guarded(tmp_path_factory.mktemp("app"), APP, events, packages=packages, denied={})
    return dict(zip(USED, found, strict=True))


@pytest.mark.parametrize("what", USED)
def test_what_a_package_does_is_told_of_it(answers: dict[str, Guarded], what: str) -> None:
    answer = answers[what]
    assert answer.outcome == "ok", answer.trace
    assert without_trace(what, answer.used) == USED[what]
    assert not answer.denied


@pytest.fixture(scope="module")
def refusals(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Guarded]:
    wanted = [what for what in USED if what != "dying"]
    found = guarded(
        tmp_path_factory.mktemp("denied"),
        APP,
        [{"do": what} for what in wanted],
        packages=packages,
        denied={"client": list(KINDS)},
    )
    return dict(zip(wanted, found, strict=True))


@pytest.mark.parametrize("what", [what for what in USED if what != "dying"])
def test_what_a_package_is_denied_it_does_not_do(refusals: dict[str, Guarded], what: str) -> None:
    answer, used = refusals[what], USED[what]
    assert not answer.used
    if not used:
        assert (answer.outcome, answer.denied) == ("ok", ())
        return
    ((package, kind),) = without_trace(what, answer.denied)
    assert (package, kind) in used
    if what in THREADS:
        return  # whose error is nobody's
    assert answer.outcome == "error"
    if what != "written":  # where the interpreter tries one folder after the other
        assert answer.result.startswith("PackageDeniedError: [Errno 13] the package client may not")
        assert "packages.client in casemate.toml" in answer.result


def test_one_is_denied_what_others_may(packages: Path, tmp_path: Path) -> None:
    events = [{"do": "connect"}, {"do": "through"}, {"do": "start"}]
    denied = {EVERY: ["egress", "process"], "client": []}
    found = guarded(tmp_path, APP, events, packages=packages, denied=denied)
    assert [answer.outcome for answer in found] == ["ok", "error", "ok"]
    assert 'packages."*"' in found[1].result


EARLY = """
import socket
try:
    socket.socket().connect(("127.0.0.1", 9))
except PermissionError:
    told = 1
except OSError:
    told = 2
"""


def test_at_import_as_well(
    packages: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("importing")
    early = EARLY
    installed(folder, "early", {"early.py": early})
    code = "import early\ndef handler(event, context):\n    return early.told\n"
    (answer,) = guarded(tmp_path, code, [{}], packages=folder, denied={"early": ["egress"]})
    assert answer.result == "1"


def acts_of(owners: dict[str, tuple[str, ...]], **denied: list[str]) -> Acts:
    acts = Acts("/function/code/")
    acts.deps = str(Path(__file__).parent) + "/"
    acts.owners = owners
    acts.deny(denied)
    return acts


def test_operations_of_capabilities_are_acts() -> None:
    acts = acts_of({Path(__file__).name: ("mine",)}, mine=["secret"])
    for name in ("table.get", "bucket.put", "queue.send", "topic.publish", "function.invoke"):
        acts.operation(name)
    acts.operation("unheard.of")
    for name in ("secret.get", "identity.token"):
        with pytest.raises(PackageDeniedError, match="may not use secret"):
            acts.operation(name)
    assert {kind for _, kind in acts.met} == {"table", "bucket", "queue", "topic", "function"}
    acts.begin()
    assert not acts.met


def test_what_is_told_is_bounded() -> None:
    many = {Path(__file__).name: tuple(f"p{number}" for number in range(1000))}
    acts = acts_of(many)
    acts.act("egress", "x")
    assert len(acts.met) == MAX_MET
    acts = acts_of(many, p7=["file"])
    told: list[tuple[str, str, str]] = []
    acts.tell = lambda *each: told.append(each)
    for number in range(10 * MAX_TOLD):
        with pytest.raises(PackageDeniedError):
            acts.act("file", f"w{number}")
    assert len(told) == MAX_TOLD


def test_who_cannot_be_told_does_not_keep_it_from_being_stopped() -> None:
    acts = acts_of({Path(__file__).name: ("mine",)}, mine=["file"])

    def fails(*_: str) -> None:
        raise ConnectionError

    acts.tell = fails
    with pytest.raises(PackageDeniedError):
        acts.act("file", "open")


def test_a_stack_too_deep_to_tell_is_denied_where_anybody_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("casemate.guard.acts._MAX_FRAMES", 3)
    acts = acts_of({"other.py": ("other",)}, other=["egress"])
    with pytest.raises(PackageDeniedError, match="too deep"):
        acts.act("egress", "x")
    acts.act("process", "x")
