"""Whether code comes to the functions that advisories name: never said not to where it does."""

from __future__ import annotations

import hashlib
import importlib
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from seeded_holes import Case, cases, drawn

from casemate.model.bundle import BundleFile, BundleManifest
from casemate.model.evidence import Evidence, PackageEvidence
from casemate.sbom import symbols
from casemate.sbom.symbols import Found, Reach, Symbols, reach_of
from support.core import spec

SEEDED = list(cases())
RUN = """
import contextlib, importlib, io, json, sys
before = set(sys.modules)
for root in json.load(sys.stdin):
    sys.path[:0] = [root + "/code", root + "/deps"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        importlib.import_module("app").handler({}, None)
    print(json.dumps("HIT" in out.getvalue()))
    del sys.path[:2]
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(root):
            del sys.modules[name]
    importlib.invalidate_caches()
    import json as again
    importlib.reload(again)
"""


def written(folder: Path, files: dict[str, str]) -> tuple[Path, BundleManifest]:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    listed = tuple(
        BundleFile(path=path, size=len(text), sha256=hashlib.sha256(text.encode()).hexdigest())
        for path, text in sorted(files.items())
    )
    manifest = BundleManifest(project="t", function=spec(), lock_sha256=None, files=listed)
    return folder, manifest


def found(folder: Path, files: dict[str, str], *named: str, **how: object) -> Found:
    return Symbols(*written(folder, files)).of(named, **how)  # type: ignore[arg-type]


def wrong(folder: Path, seeded: list[Case]) -> tuple[list[str], Counter[bool]]:
    """Return what is said wrongly, and how many are told apart or not."""
    mistakes, told = [], Counter[bool]()
    for number, case in enumerate(seeded):
        said = found(folder / str(number), case.files, case.symbol)
        told[said.reach is not Reach.UNKNOWN] += 1
        if said.reach is (Reach.UNREACHED if case.runs is not False else Reach.REACHED):
            mistakes.append(f"{case.name}: {said}")
    return mistakes, told


@pytest.mark.storm
def test_the_seeded_applications_do_what_they_say(tmp_path: Path) -> None:
    """The truth is what happens: each handler is run."""
    roots = [str(written(tmp_path / str(n), c.files)[0]) for n, c in enumerate(SEEDED)]
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps(roots),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    ran = [json.loads(line) for line in done.stdout.splitlines()]
    for case, hit in zip(SEEDED, ran, strict=True):
        assert case.runs is None or hit is case.runs, case.name


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.storm)])
def test_nothing_that_runs_is_called_out_of_reach(tmp_path: Path, every: int) -> None:
    assert len(SEEDED) >= 100
    seeded = SEEDED[::every]
    mistakes, told = wrong(tmp_path, seeded)
    assert not mistakes
    assert told[True] >= 0.9 * len(seeded), told


REAL = {
    ("jinja2", "markupsafe"): (
        "import jinja2\nT = jinja2.Environment(autoescape=True)\ndef handler(event, context):\n"
        "    text = '{% for x in xs %}{{ x|upper }}{{ loop.index }}{% endfor %}{{ xs|join }}'\n"
        "    return T.from_string(text).render(xs=['a', 'b'])\n"
    ),
    ("yaml",): (
        "import yaml\ndef handler(event, context):\n"
        "    return yaml.dump(yaml.safe_load('a: [1, {b: 2020-01-01}]\\nc: !!str 4'))\n"
    ),
    ("packaging",): (
        "from packaging.requirements import Requirement\ndef handler(event, context):\n"
        "    made = Requirement('a[x]>=2,<3; python_version>\"3.0\"')\n"
        "    return made.marker.evaluate(), '2.1' in made.specifier, str(made)\n"
    ),
    ("click",): (
        "import click\n@click.command()\n@click.option('--n', default=1)\ndef main(n):\n"
        "    return n\ndef handler(event, context):\n"
        "    return main(['--n', '3'], standalone_mode=False)\n"
    ),
}
TRACED = """
import json, sys
root = sys.argv[1]
sys.path[:0] = [root + "/code", root + "/deps"]
called = set()
def note(frame, event, argument):
    code = frame.f_code
    if event == "call" and code.co_filename.startswith(root + "/deps/") and code.co_flags & 2:
        called.add((code.co_filename[len(root) + 6:], code.co_qualname))
sys.setprofile(note)
import app
app.handler({}, None)
sys.setprofile(None)
print(json.dumps(sorted(called)))
"""


@pytest.mark.parametrize(
    "packages",
    [each if each == ("yaml",) else pytest.param(each, marks=pytest.mark.storm) for each in REAL],
    ids="+".join,
)
def test_no_function_that_was_called_is_out_of_reach(
    tmp_path: Path, packages: tuple[str, ...]
) -> None:
    """Real packages: whatever a profile of the handler shows, also where names are made up."""
    files = {"code/app.py": REAL[packages]}
    for name in packages:
        folder = Path(importlib.import_module(name).__file__ or "").parent
        for path in folder.rglob("*.py"):
            files[f"deps/{name}/{path.relative_to(folder)}"] = path.read_text()
    root, manifest = written(tmp_path, files)
    done = subprocess.run(
        [sys.executable, "-S", "-c", TRACED, str(root)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    known = Symbols(root, manifest)
    known._names_made_up = known._imports_made_up = ""
    called = 0
    for path, name in json.loads(done.stdout):
        if "<" not in name:
            module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            called += 1
            assert known.of([f"{module}.{name}"]).reach is Reach.REACHED, (module, name)
    assert called >= 40


@pytest.mark.storm
def test_nor_among_other_code(tmp_path: Path) -> None:
    for seed in range(20):
        mistakes, told = wrong(tmp_path / str(seed), list(drawn(seed, 200)))
        assert not mistakes
        assert told[True] >= 180


def test_what_an_advisory_names_that_is_not_there_is_not_known(tmp_path: Path) -> None:
    files = {"code/app.py": "import pkg", "deps/pkg/__init__.py": "def f(): ..."}
    for named in ("other.f", "pkg.g", "pkg.C.f", "p" * 300, ".", ""):
        assert found(tmp_path, files, named).reach is Reach.UNKNOWN, named
    assert found(tmp_path, files).reach is Reach.UNKNOWN
    assert found(tmp_path, files, *(f"pkg.x{n}.f" for n in range(200))).reach is Reach.UNKNOWN
    assert found(tmp_path, files, "pkg.f").reach is Reach.UNREACHED
    assert found(tmp_path, files, "pkg").why == "pkg is imported"
    assert found(tmp_path, files, "pkg.f", "pkg").reach is Reach.REACHED


def test_code_that_cannot_be_read_leaves_nothing_out_of_reach(tmp_path: Path) -> None:
    files = {
        "code/app.py": "import pkg",
        "deps/pkg/__init__.py": "from . import broken\ndef f(): ...",
        "deps/pkg/broken.py": "def (",
        "deps/pkg/far.py": "def g(): ...",
    }
    for named in ("pkg.f", "pkg.far.g"):
        said = found(tmp_path, files, named)
        assert said.reach is Reach.UNKNOWN and "broken.py could not be read" in said.why


def test_libraries_of_c_may_call_what_they_hold_the_name_of(tmp_path: Path) -> None:
    files = {
        "code/app.py": "import pkg",
        "deps/pkg/__init__.py": "from . import _fast\ndef f(): ...\ndef g(): ...",
        "deps/pkg/_fast.cpython-311-x86_64-linux-gnu.so": "\0f_or_so\0 calls: only_g \0g\0",
        "deps/pkg/far.py": "def h(): ...",
        "deps/other.py": "def i(): ...",
    }
    assert found(tmp_path, files, "pkg.g").reach is Reach.UNKNOWN
    assert "may call it" in found(tmp_path, files, "pkg.f").why
    assert found(tmp_path, files, "pkg.far.h").reach is Reach.UNREACHED
    assert found(tmp_path, files, "pkg._fast.inner").reach is Reach.UNKNOWN
    assert found(tmp_path, files, "other.i").reach is Reach.UNREACHED


def test_what_was_seen_loaded_is_not_out_of_reach(tmp_path: Path) -> None:
    files = {"code/app.py": "", "deps/pkg.py": "def f(): ..."}
    assert found(tmp_path, files, "pkg.f").reach is Reach.UNREACHED
    seen = PackageEvidence(name="pkg", version="1", at_call=True, occurrences=("deps/pkg.py",))
    said = found(tmp_path, files, "pkg.f", evidence=Evidence(digest="a", packages=(seen,)))
    assert (said.reach, said.why) == (Reach.REACHED, "deps/pkg.py was seen loaded on the node")


def test_time_is_bounded_and_what_was_not_read_is_said(tmp_path: Path) -> None:
    names = "\n".join(f"def f{n}(): return f{n + 1}, x.f{n + 2}" for n in range(2_000))
    files = {"code/app.py": "import pkg\npkg.f0()", "deps/pkg.py": names, "deps/far.py": "x = 1"}
    bundle = written(tmp_path, files)
    begun = time.process_time()
    assert Symbols(*bundle).of(["pkg.f1999"]).reach is Reach.REACHED
    assert time.process_time() - begun < 5
    for named in ("pkg.f1999", "far.x"):
        assert "in time" in Symbols(*bundle, seconds=0).of([named]).why or (
            Symbols(*bundle, seconds=0).of([named]).reach is not Reach.UNREACHED
        )


def test_only_holes_whose_advisories_name_something_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = written(tmp_path, {"code/app.py": "import pkg", "deps/pkg.py": "def f(): ..."})
    told = reach_of({"A": ["pkg.f"], "B": []}, *bundle)
    assert {id: each.reach for id, each in told.items()} == {"A": Reach.UNREACHED}
    monkeypatch.setattr(symbols, "Symbols", None)
    assert reach_of({"B": []}, *bundle) == {}


CHAIN = "".join(f"class C{n + 1}(C{n}):\n    def hole(self): ...\n" for n in range(600))


@pytest.mark.parametrize(
    ("base", "reach"),
    [
        ("class C0(object): ...", Reach.UNREACHED),
        ("from threading import Thread as C0", Reach.REACHED),
    ],
)
def test_a_long_line_of_classes_is_followed_to_its_base(tmp_path, base, reach) -> None:
    files = {"code/app.py": "import left\nleft.C600()\n", "deps/left.py": f"{base}\n{CHAIN}"}
    found = Symbols(*written(tmp_path, files)).of(["left.C600.hole"])
    assert found.reach is reach, found.why


def test_many_bases_of_many_methods_take_no_time(tmp_path) -> None:
    bases = ", ".join(f"B{n}" for n in range(1000))
    text = "".join(f"class B{n}(object): ...\n" for n in range(1000)) + f"class A({bases}):\n"
    text += "".join(f"    def m{n}(self): ...\n" for n in range(2000))
    bundle = written(tmp_path, {"code/app.py": "import left\n", "deps/left.py": text})
    began = time.process_time()
    assert Symbols(*bundle).of(["left.A.m7"]).reach is Reach.UNREACHED
    assert time.process_time() - began < 1


def test_a_file_with_statements_too_deep_in_each_other_is_one_that_cannot_be_read(tmp_path) -> None:
    text = "def hole(): ...\nif 0: ...\n" + "elif 0: ...\n" * 2000
    bundle = written(tmp_path, {"code/app.py": "import left\n", "deps/left.py": text})
    found = Symbols(*bundle).of(["left.hole"])
    assert found.reach is Reach.UNKNOWN
