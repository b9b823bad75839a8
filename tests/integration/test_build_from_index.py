"""Builds from an index on loopback, through uv and the sandbox: what is refused, and how named."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from casemate.build import Interpreter, SourceOnlyError, find_interpreters
from casemate.build.bundle import BuiltBundle, build
from casemate.model.errors import CasemateError
from casemate.model.function import FunctionSpec
from casemate.package_index import (
    POLICY_FILE,
    AmbiguousIndexError,
    IndexAnswerError,
    IndexUnavailableError,
    LookAlikeError,
    MaliciousPackageError,
    MovedError,
    PackagePolicyError,
    PoisonedWheelError,
    PublisherChangedError,
    TooNewError,
    UndatedError,
    YankedError,
)
from support.package_index import FakeIndex, File, endless, fake_index, wheel_bytes
from support.sigstore_keys import own_sigstore

pytestmark = pytest.mark.sandbox
Build = Callable[..., BuiltBundle]
FRESH = datetime.fromtimestamp(time.time() - 86400, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def exception(package: str, *allow: str, more: str = "") -> str:
    told = ", ".join(f'"{one}"' for one in allow)
    return (
        f'[[exception]]\npackage = "{package}"\nallow = [{told}]\nreason = "a test"\n'
        f"expires = {date.today()}\n{more}"
    )


@pytest.fixture(scope="module")
def interpreters() -> tuple[Interpreter, ...]:
    return find_interpreters(today=date.today(), environ=dict(os.environ))[-1:]


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeIndex]:
    with fake_index() as made:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{made.url}/simple")
        yield made


@pytest.fixture
def other() -> Iterator[FakeIndex]:
    with fake_index() as made:
        yield made


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "app.py").write_text("def handler(event, context):\n    return None\n")
    return folder


@pytest.fixture
def run(project: Path, tmp_path: Path, interpreters: tuple[Interpreter, ...]) -> Build:
    runs = 0

    def made(
        requirements: str = "alpha\n",
        *,
        policy: str = "",
        requirements_file: str = "requirements.txt",
        **more: object,
    ) -> BuiltBundle:
        nonlocal runs
        runs += 1
        (project / "requirements.txt").write_text(requirements)
        (project / "trusted.json").write_bytes(own_sigstore().trusted_root())
        (project / POLICY_FILE).write_text(f'trusted-root = "trusted.json"\n{policy}')
        return build(
            project,
            "demo",
            FunctionSpec(name="hello", handler="app:handler", requirements=requirements_file),
            tmp_path / "out",
            cache=tmp_path / f"cache{runs}",
            interpreters=interpreters,
            **more,  # type: ignore[arg-type]
        )

    return made


def versions(built: BuiltBundle) -> dict[str, str]:
    return {each.name: each.version for each in built.manifest.packages}


def the_lock(project: Path) -> str:
    (path,) = project.glob("*.lock")
    return path.read_text()


def test_new_releases_wait_and_a_lock_is_not_judged_again(
    run: Build, index: FakeIndex, project: Path
) -> None:
    index.add("alpha", requires=["beta"])
    index.add("alpha", version="2.0", uploaded=FRESH)
    index.add("beta", version="3.0")
    assert versions(run()) == {"alpha": "1.0", "beta": "3.0"}
    assert f"# origin: alpha 1.0 {index.url}/simple 2026-01-01T00:00:00Z -\n" in the_lock(project)
    with pytest.raises(TooNewError, match=r"alpha 2\.0"):
        run("alpha==2.0\n")
    policy = exception("alpha", "fresh")
    assert versions(run("alpha==2.0\n", policy=policy))["alpha"] == "2.0"
    # The lock has it now: without the exception it goes on, also where others are added.
    assert versions(run("alpha==2.0\n"))["alpha"] == "2.0"
    assert versions(run("alpha==2.0\nbeta\n"))["alpha"] == "2.0"


def test_a_lock_of_another_tool_is_judged(run: Build, index: FakeIndex, project: Path) -> None:
    made = index.add("alpha", version="2.0", uploaded=FRESH)
    with pytest.raises(TooNewError):
        run(f"alpha==2.0 --hash=sha256:{made.sha256}\n")
    assert list(project.glob("*.lock")) == []


def test_what_has_no_date_or_was_yanked_is_refused(run: Build, index: FakeIndex) -> None:
    index.add("alpha", uploaded=None)
    index.add("beta", yanked="leaks tokens")
    with pytest.raises(UndatedError, match="alpha"):
        run("alpha\n")
    with pytest.raises(YankedError, match="leaks tokens"):
        run("beta==1.0\n")
    policy = exception("alpha", "undated") + exception("beta", "yanked")
    assert versions(run("alpha\nbeta==1.0\n", policy=policy)) == {"alpha": "1.0", "beta": "1.0"}


def test_a_name_comes_from_one_index(
    run: Build, index: FakeIndex, other: FakeIndex, project: Path
) -> None:
    index.add("acme", version="99.0")
    other.add("acme")
    text = f"--extra-index-url {other.url}/simple\nacme\n"
    with pytest.raises(AmbiguousIndexError, match="more than one index"):
        run(text)
    policy = f'[index.own]\nurl = "{other.url}/simple"\npackages = ["acme"]\n'
    assert versions(run(text, policy=policy)) == {"acme": "1.0"}
    assert f"{other.url}/simple" in the_lock(project)
    # The lock holds it there without the rule too; and gone from there, nobody else is taken.
    assert versions(run(text, relock=True)) == {"acme": "1.0"}
    del other.projects["acme"]
    with pytest.raises(MovedError):
        run(text, relock=True)


def test_a_page_of_files_and_an_address_go_the_same_way(
    run: Build, index: FakeIndex, project: Path
) -> None:
    index.as_html = True
    index.projects["pages"] = [index.add("alpha"), index.add("beta")]
    address = f"{index.url}/files/beta-1.0-py3-none-any.whl"
    text = f"--no-index\n--find-links {index.url}/simple/pages\nalpha\nbeta @ {address}\n"
    with pytest.raises(UndatedError):
        run(text)
    policy = exception("alpha", "undated") + exception("beta", "undated")
    assert versions(run(text, policy=policy)) == {"alpha": "1.0", "beta": "1.0"}
    lock = the_lock(project)
    assert f"beta @ {address}" in lock
    assert "index.invalid" not in lock


def test_credentials_stay_out_of_everything(
    run: Build,
    index: FakeIndex,
    other: FakeIndex,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from casemate.build import bubblewrap

    other.login = "jane:hunter2"
    other.add("alpha")
    for name in ("UV_INDEX_URL", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://jane:hunter2@127.0.0.1:1/simple")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("UV_INDEX_OWN_USERNAME", "jane")
    monkeypatch.setenv("UV_INDEX_OWN_PASSWORD", "hunter2")
    given: list[str] = []
    before = bubblewrap._execute

    def execute(command: list[str], environment: dict[str, str], **more: object) -> object:
        given.append(repr((list(command), environment, more)))
        return before(command, environment, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(bubblewrap, "_execute", execute)
    policy = f'[index.own]\nurl = "{other.url}/simple"\npackages = ["alpha"]\n'
    built = run(policy=policy)
    assert versions(built) == {"alpha": "1.0"}
    assert given
    assert not any("hunter2" in one for one in given)
    for path in [p for p in tmp_path.rglob("*") if stat.S_ISREG(p.lstat().st_mode)]:
        assert b"hunter2" not in path.read_bytes(), path
    monkeypatch.setenv("UV_INDEX_OWN_PASSWORD", "wrong-word")
    with pytest.raises(IndexAnswerError, match="401") as caught:
        run(policy=policy, relock=True)
    assert "wrong-word" not in str(caught.value)


def test_names_publishers_and_known_attacks(run: Build, index: FakeIndex) -> None:
    class Advisories:
        def malicious(self, package: str, version: str) -> str | None:
            return "MAL-2026-9" if package == "beta" else None

        def mends(self, package: str, version: str) -> str | None:
            return "PYSEC-1" if version == "2.0" else None

    index.add("reqeusts")
    with pytest.raises(LookAlikeError, match="requests"):
        run("reqeusts\n")
    index.add("beta")
    with pytest.raises(MaliciousPackageError, match="MAL-2026-9"):
        run("beta\n", known=Advisories())
    index.add("alpha", publisher="owner/alpha")
    assert versions(run())["alpha"] == "1.0"
    index.add("alpha", version="2.0", uploaded=FRESH, publisher="owner/alpha")
    assert versions(run("alpha\n", relock=True, known=Advisories()))["alpha"] == "2.0"
    index.add("alpha", version="3.0", publisher="thief/alpha")
    with pytest.raises(PublisherChangedError, match="thief/alpha"):
        run("alpha\n", relock=True)


def test_poisoned_wheels_are_stopped_and_nothing_is_half_installed(
    run: Build, index: FakeIndex, project: Path, tmp_path: Path
) -> None:
    index.add("alpha", data=wheel_bytes("alpha", {"../../evil.py": ""}))
    with pytest.raises(PoisonedWheelError, match=r"evil\.py"):
        run()
    vendored = project / "wheels"
    vendored.mkdir()
    (vendored / "beta-1.0-py3-none-any.whl").write_bytes(
        wheel_bytes("beta", {"beta.py": "exec(__import__('base64').b64decode(''))\n"})
    )
    with pytest.raises(PoisonedWheelError, match=r"beta\.py"):
        run("beta\n--find-links ./wheels\n--no-index\n")
    left = [p.name for p in (tmp_path / "out").iterdir() if not p.name.endswith(".lock")]
    assert left == []
    assert list(tmp_path.rglob("evil.py")) == []
    assert list(tmp_path.glob("cache*/layers/*/deps")) == []


def test_what_would_run_at_start_or_lies_outside_is_left_out_and_named(
    run: Build, index: FakeIndex
) -> None:
    files = {
        "alpha/__init__.py": "",
        "alpha/data.json": "{}",
        "start.pth": "import os",
        "sitecustomize.py": "",
        "usercustomize/__init__.py": "",
        "README.md": "",
        "alpha-1.0.data/data/share/man/alpha.1": "",
        "alpha-1.0.data/data/etc/alpha.conf": "",
        "alpha-1.0.data/scripts/alpha-tool": "#!python\n",
        "alpha-1.0.dist-info/entry_points.txt": "[console_scripts]\nalpha = alpha:main\n",
    }
    index.add("alpha", data=wheel_bytes("alpha", files))
    built = run()
    paths = {each.path for each in built.manifest.files if "dist-info" not in each.path}
    kept = {path for path in paths if path.startswith("deps/") and "__pycache__" not in path}
    assert kept == {"deps/alpha/__init__.py", "deps/alpha/data.json"}
    told = " ".join(built.warnings)
    for name in ("start.pth", "sitecustomize.py", "usercustomize/__init__.py", "README.md"):
        assert name in told
    for name in ("share/man/alpha.1", "etc/alpha.conf"):
        assert name in told
    assert "bin/" not in told


@pytest.mark.parametrize(
    ("lie", "kind"),
    [
        ("html", IndexAnswerError),
        ("hash", IndexAnswerError),
        ("file", IndexAnswerError),
        ("endless", CasemateError),
        ("gone", IndexUnavailableError),
    ],
)
def test_an_index_that_lies_is_an_error_that_names_it(
    run: Build,
    index: FakeIndex,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    lie: str,
    kind: type[CasemateError],
) -> None:
    made = index.add("alpha")
    monkeypatch.setattr("casemate.package_index.limits.MAX_LIST_BYTES", 1_000_000)

    def answer(handler: object) -> bool:
        if lie == "html":
            handler.reply(200, "text/html", b"<html>Please sign in</html>")  # type: ignore[attr-defined]
        elif lie == "file":
            handler.reply(302, "text/plain", b"", Location="file:///etc/passwd")  # type: ignore[attr-defined]
        elif lie == "gone":
            handler.reply(503, "text/plain", b"")  # type: ignore[attr-defined]
        else:
            return endless(handler)  # type: ignore[arg-type]
        return True

    if lie == "hash":
        made.data += b"more"
    else:
        index.answer = answer
    with pytest.raises(kind, match=r"127\.0\.0\.1"):
        run()
    assert list(project.glob("*.lock")) == [] or lie == "hash"


BACKEND = """
import os, socket, sys, zipfile
def told():
    yield "uid", os.getuid()
    for name, attempt in (
        ("network", lambda: socket.create_connection(("127.0.0.1", PORT), timeout=3)),
        ("outside", lambda: open("/usr/lib/x", "w")),
        ("host", lambda: os.listdir("/home")),
        ("password", lambda: os.environ["UV_INDEX_OWN_PASSWORD"]),
    ):
        try:
            attempt()
        except (OSError, KeyError):
            continue
        yield name, "got through"
def build_wheel(folder, settings=None, metadata=None):
    name = "alpha-1.0-py3-none-any.whl"
    info = "alpha-1.0.dist-info"
    files = {
        "alpha.py": "TOLD = " + repr(dict(told())) + "\\n",
        info + "/METADATA": "Metadata-Version: 2.1\\nName: alpha\\nVersion: 1.0\\n",
        info + "/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[info + "/RECORD"] = "".join(f"{one},,\\n" for one in (*files, info + "/RECORD"))
    MORE
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return name
"""


def source_of(index: FakeIndex, *, more: str = "pass", backend: str = BACKEND) -> None:
    """Publish alpha 1.0 as source only, with a build of its own."""
    port = index.url.rpartition(":")[2]
    files = {
        "pyproject.toml": (
            '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
        ),
        "own.py": backend.replace("PORT", port).replace("MORE", more),
    }
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"alpha-1.0/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    index.projects["alpha"] = [File("alpha-1.0.tar.gz", written.getvalue())]


def test_a_source_is_built_by_an_exception_only_and_without_network(
    run: Build, index: FakeIndex, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_INDEX_OWN_PASSWORD", "hunter2")
    source_of(index)
    with pytest.raises(SourceOnlyError, match=r"alpha==1\.0"):
        run("alpha==1.0\n")
    policy = exception("alpha", "source", more='version = "1.0"\n')
    first = run("alpha==1.0\n", policy=policy)
    told = (first.path / "deps/alpha.py").read_text()
    assert "got through" not in told
    if os.geteuid() == 0:
        assert "{'uid': 65534}" in told
    # The lock has what came out; built again elsewhere it is the same.
    assert run("alpha==1.0\n", policy=policy).digest == first.digest
    with pytest.raises(PackagePolicyError, match="with its `version`"):
        run("alpha==1.0\n", policy=exception("alpha", "source"))


@pytest.mark.parametrize(
    ("more", "kind", "told"),
    [
        ("files['../evil.py'] = ''", PoisonedWheelError, r"evil\.py"),
        ("raise SystemExit('no compiler')", SourceOnlyError, "no compiler"),
        ("name = 'evil'", SourceOnlyError, "made no wheel"),
        (
            "os.symlink('/etc/passwd', folder + '/x.whl'); return 'x.whl'",
            CasemateError,
            "link|read",
        ),
        ("os.mkfifo(folder + '/x.whl'); return 'x.whl'", CasemateError, "pipe"),
    ],
)
def test_what_a_build_makes_is_not_believed(
    run: Build, index: FakeIndex, more: str, kind: type[CasemateError], told: str
) -> None:
    source_of(index, more=more)
    with pytest.raises(kind, match=told):
        run("alpha==1.0\n", policy=exception("alpha", "source", more='version = "1.0"\n'))


def test_there_is_no_way_around(
    run: Build, index: FakeIndex, other: FakeIndex, project: Path, tmp_path: Path
) -> None:
    """Uv has settings of its own for where packages come from: none leads past the rules."""
    index.add("alpha")
    other.add("alpha", version="9.0", uploaded=FRESH)
    wheel = f"{other.url}/files/alpha-9.0-py3-none-any.whl"
    head = '[project]\nname = "demo"\nversion = "0"\ndependencies = ["alpha"]\n'
    for sources in (
        f'[tool.uv.sources]\nalpha = {{ url = "{wheel}" }}\n',
        f'[tool.uv.sources]\nalpha = {{ index = "x" }}\n'
        f'[[tool.uv.index]]\nname = "x"\nurl = "{other.url}/simple"\nexplicit = true\n',
        f'[[tool.uv.index]]\nurl = "{other.url}/simple"\ndefault = true\n',
        f'[tool.uv]\nfind-links = ["{other.url}/simple/alpha"]\n',
        f'[tool.uv.pip]\nindex-url = "{other.url}/simple"\n',
    ):
        (project / "pyproject.toml").write_text(head + sources)
        try:
            built = run("alpha\n", requirements_file="pyproject.toml")
        except CasemateError:
            assert list(project.glob("*.lock")) == []
        else:
            assert versions(built) == {"alpha": "1.0"}
        for lock in project.glob("*.lock"):
            lock.unlink()
        assert other.asked == []
    for line in (f"alpha @{' ' * 40}{wheel}", f"alpha @ \\\n  {wheel}"):
        with pytest.raises(CasemateError):
            run(f"{line}\n")
