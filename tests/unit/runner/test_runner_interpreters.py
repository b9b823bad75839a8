"""The runner is run by whichever interpreter a function asks for: all of them understand it."""

from __future__ import annotations

import ast
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

import casemate
from casemate.build import Interpreter, find_interpreters
from casemate.model.function import SUPPORTED_PYTHONS

SOURCE = Path(casemate.__file__).parent
INSIDE = {"runner": {"guard", "kernel"}, "guard": set[str](), "kernel": set[str]()}
"""The packages that the sandbox holds, and which others of ours each may import."""
MODULES = sorted(path for name in INSIDE for path in (SOURCE / name).rglob("*.py"))
INTERPRETERS = find_interpreters(today=datetime.now(UTC).date(), environ=os.environ)

each_interpreter = pytest.mark.parametrize("interpreter", INTERPRETERS, ids=lambda i: i.minor)


def run(interpreter: Interpreter, code: str) -> str:
    # As the base zygote is started.
    done = subprocess.run(
        [str(interpreter.path), "-I", "-S", "-B", "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_there_is_an_interpreter_to_test_with() -> None:
    assert INTERPRETERS


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_syntax_is_that_of_the_oldest(module: Path) -> None:
    oldest = tuple(int(part) for part in SUPPORTED_PYTHONS[0].split("."))
    ast.parse(module.read_text(), feature_version=oldest)  # type: ignore[arg-type]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_but_the_standard_library_is_imported(module: Path) -> None:
    for node in ast.walk(ast.parse(module.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        elif isinstance(node, ast.ImportFrom):
            parts = module.relative_to(SOURCE).parts
            assert node.level <= len(parts), "nothing from outside of the packages"
            if node.level == len(parts):
                assert (node.module or "").partition(".")[0] in INSIDE[parts[0]], module
            continue
        for name in names:
            assert name.split(".")[0] in {*os.sys.stdlib_module_names}, name  # type: ignore[attr-defined]


@each_interpreter
def test_every_module_compiles_without_a_warning(interpreter: Interpreter) -> None:
    places = [str(module) for module in MODULES]
    run(interpreter, f"for place in {places!r}: compile(open(place).read(), place, 'exec')")


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return code that lets `casemate` be imported as the sandbox has it: these packages alone."""
    folder = tmp_path_factory.mktemp("inside")
    (folder / "casemate").mkdir()
    for name in INSIDE:
        (folder / "casemate" / name).symlink_to(SOURCE / name)
    return f"import sys; sys.path.insert(0, {str(folder)!r}); "


@each_interpreter
def test_every_module_imports_as_in_the_sandbox(interpreter: Interpreter, inside: str) -> None:
    paths = [path.relative_to(SOURCE).with_suffix("") for path in MODULES]
    names = [".".join(path.parts) for path in paths if path.name != "__init__"]
    code = inside + "".join(f"import casemate.{name}; " for name in names)
    run(interpreter, code + "print('casemate.model' in sys.modules)")


@each_interpreter
def test_an_invocation_is_answered(interpreter: Interpreter, inside: str) -> None:
    code = (
        inside
        + """
from casemate.runner import instance, wire
from casemate.runner.loaded import LateImports
from casemate.guard.core import Guard
import socket
gateway, sock = socket.socketpair()
assignment = {"project": "p", "function": "f", "memory": 1, "response": 99,
              "isolation": "request"}
head = b'{"id":"i","deadline":1.5,"http":false,"version":"1"}'
gateway.sendall(wire.pack(wire.INVOKE, head, b'[1,2]'))
late = LateImports()
served = instance.Instance(lambda event, context: sum(event), assignment, sock, Guard(), late)
served.touch()
served.serve()
frames = wire.FrameReader(wire.KINDS_FROM_INSTANCE, 99).feed(gateway.recv(1000))
print(frames[-1][2].decode())
gateway.close(); sock.close()
"""
    )
    assert run(interpreter, code) == "3"


@each_interpreter
def test_the_filters_are_the_same_everywhere(interpreter: Interpreter, inside: str) -> None:
    from casemate.kernel import seccomp

    code = inside + (
        "from casemate.kernel import seccomp; import hashlib; print(hashlib.sha256("
        "seccomp.zygote_program() + seccomp.instance_program()).hexdigest())"
    )
    import hashlib

    programs = seccomp.zygote_program() + seccomp.instance_program()
    assert run(interpreter, code) == hashlib.sha256(programs).hexdigest()


@each_interpreter
def test_texts_that_are_nothing_but_keys_are_immortal_too(
    interpreter: Interpreter, inside: str
) -> None:
    code = inside + (
        "from casemate.runner import sharing; import sys\n"
        "names = {''.join(['ke', 'y ', 'alone']): 1}\n"
        "sharing.make_all_immortal()\n"
        "[key] = names; counted = sys.getrefcount(key); used = [key] * 5\n"
        "assert (sys.getrefcount(key) == counted) == (sys.version_info >= (3, 12))\n"
        "print('ok')"
    )
    assert run(interpreter, code) == "ok"


@each_interpreter
def test_what_was_made_since_all_were_frozen_is_made_immortal_by_itself(
    interpreter: Interpreter, inside: str
) -> None:
    code = inside + (
        "from casemate.runner import sharing; import gc\n"
        "old = {'old': ''.join(['o', 'ld'])}\n"
        "sharing.make_all_immortal(); gc.freeze()\n"
        "new = {'of': [''.join(['ne', 'w']), old]}\n"
        "made = sharing.make_new_immortal()\n"
        "assert (2 < made < 1000) == (sys.version_info >= (3, 12)), made\n"
        "def rests(one):\n"
        "    before = sys.getrefcount(one); more = [one] * 9\n"
        "    return sys.getrefcount(one) == before\n"
        "theirs = [new, new['of'], new['of'][0], old, old['old']]\n"
        "assert {rests(one) for one in theirs} == {sys.version_info >= (3, 12)}\n"
        "print('ok')"
    )
    assert run(interpreter, code) == "ok"


@each_interpreter
@pytest.mark.parametrize("everything", [False, True])
def test_immortal_objects_survive_use_and_the_interpreter_s_end(
    interpreter: Interpreter, inside: str, everything: bool
) -> None:
    code = inside + (
        "from casemate.runner import sharing, instance, zygote; import gc, json, os, functools\n"
        "def modules(): *_, made = sharing.make_immortal(sys.modules.values()); return made\n"
        f"made = sharing.make_all_immortal() if {everything} else modules()\n"
        "gc.collect(); gc.freeze()\n"
        "assert modules() < made or not made\n"
        "class A: pass\n"
        "for n in range(1000):\n"
        "    json.loads(json.dumps({'a': [n]})); A(); functools.partial(len, [])\n"
        "pid = os.fork()\n"
        "if not pid: gc.unfreeze(); gc.collect(); os._exit(7)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7\n"
        "assert (made > 1000) == (sys.version_info >= (3, 12)), made\n"
        "print('ok')"
    )
    assert run(interpreter, code) == "ok"


@each_interpreter
def test_what_a_module_is_made_of_is_immortal_also_once_it_is_frozen(
    interpreter: Interpreter, inside: str
) -> None:
    """The collector names no frozen object, and a zygote's are frozen before there is time."""
    source = """
class Of:
    @property
    def kind(self): return ["data"]
    @staticmethod
    def made(): return ("con", "stant")
def outer(number=12345):
    def inner(): return number
    return inner
inner = outer()
data = {"many": [object()]}
"""
    code = inside + (
        "from casemate.runner import sharing; import gc, types\n"
        f"module = types.ModuleType('theirs'); exec({source!r}, vars(module))\n"
        "gc.collect(); gc.freeze()\n"
        "turns = list(sharing.make_immortal([module], part_size=5))\n"
        "assert len(turns) > 3 or sys.version_info < (3, 12), turns\n"
        "def rests(one):\n"
        "    before = sys.getrefcount(one); more = [one] * 9\n"
        "    return sys.getrefcount(one) == before\n"
        "t = module\n"
        "theirs = [t, vars(t), t.Of, t.outer, t.inner, t.inner.__code__, t.inner.__closure__[0],\n"
        "          t.Of.kind.fget, t.Of.made, t.outer.__defaults__, t.Of.made.__code__.co_consts]\n"
        "assert {rests(one) for one in theirs} == {sys.version_info >= (3, 12)}\n"
        "assert not rests(t.data['many']) and not rests(t.data['many'][0])\n"
        "print('ok')"
    )
    assert run(interpreter, code) == "ok"


CLASSES = """
from dataclasses import dataclass, field
from typing import Literal
class Plain:
    town: str
    shelf: int = 3
    pin: str = "77"
    way: Literal["upwards"] = "x"
@dataclass
class Lender:
    city: str
    code: str = field(default="0000", repr=False)
class Account:
    def __init__(self, hidden): self.hidden = hidden
    def label(self, prefix="#"): return prefix
def handler(event: "an event", context=None): pass
"""


@each_interpreter
def test_the_guard_takes_the_same_texts_for_the_codes_everywhere(
    interpreter: Interpreter, inside: str
) -> None:
    """Python 3.14 has annotations, and so names of fields, in functions of their own (PEP 649)."""
    code = inside + (
        f"source = {CLASSES!r}\n"
        "from casemate.guard.constants import Constants\n"
        "import sys, types\n"
        "module = sys.modules['app'] = types.ModuleType('app')\n"
        "code = compile(source, 'app.py', 'exec')\n"
        "exec(code, vars(module))\n"
        "held = Constants(); held.add_code(code)\n"
        "names = ['town', 'shelf', 'pin', 'upwards', 'city', 'code', 'hidden']\n"
        "print(*[n for n in names if n in held.literals], end='; ')\n"
        "held.add_module(module)\n"
        "print(*[n for n in names if held.tells_of(n)])"
    )
    assert run(interpreter, code) == "town upwards city; town upwards city code"


ALLOCATING = """
from casemate.runner import allocating, filling
import gc
kinds = allocating.choices()
assert len(kinds) == 2
old = [bytes(60), [1], {"a": 1}, bytearray(20)]
places = lambda made: {id(one) // 4096 for one in made}
def make():
    return [bytes(size) for size in range(21, 440, 20)] + [(None,) * size for size in range(1, 40)]
gc.collect()
filling.fill_chunks()
held = allocating.take_what_is_kept()
first = make(); pools = places(first)
allocating.use_malloc(kinds)
made = make()
together = places(made)
# What is of one is let go, and grows, while the other is in use.
old[1] += range(100); old[2].update({n: n for n in range(100)}); old[3].extend(bytes(200))
mixed = [[n] * 3 for n in range(500)]
allocating.use_pools(kinds)
[one.extend(range(20)) for one in mixed]; assert mixed[7][:4] == [7, 7, 7, 0]
made += make(); assert len(places(made[-60:])) > 9
del old, made, mixed; gc.collect()
assert [str(n) for n in range(1000)][999] == "999"
print(len(pools), len(together))
"""


@each_interpreter
def test_what_is_made_lies_together_while_malloc_is_used(
    interpreter: Interpreter, inside: str
) -> None:
    pools, together = map(int, run(interpreter, inside + ALLOCATING).split())
    assert pools >= 16 and together <= 8, (pools, together)
