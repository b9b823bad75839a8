"""Locks repaired by uv, in the sandbox, from an index on loopback that may be none to trust."""

from __future__ import annotations

import json
import os
import string
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from casemate.advisories import Ecosystem, KnownHoles, Place
from casemate.advisories.importing import Wanted, import_advisories
from casemate.build import Interpreter, find_interpreters
from casemate.build.bundle import build
from casemate.build.errors import RequirementsFileError
from casemate.build.uv_process import uv_binary
from casemate.model.errors import CasemateError, ConflictError
from casemate.model.function import FunctionSpec
from casemate.package_index import POLICY_FILE, IndexAnswerError, PublisherChangedError
from casemate.repair import KnownFindings, LockUpdate, Planner, Update, write
from casemate.repair.holes import is_hidden
from casemate.repair.price import Ability
from support.advisories import import_records, record
from support.lock_graphs import generated
from support.package_index import JSON, FakeIndex, fake_index
from support.sigstore_keys import own_sigstore

pytestmark = pytest.mark.sandbox
UNIT = Path(__file__).parents[1] / "unit"
REAL_ADVISORIES = UNIT / "advisories/pypa/pypa-advisories-2024-10-10.zip"
with zipfile.ZipFile(UNIT / "repair/real-locks-2026-11-27.zip") as _archive:
    REAL = json.loads(_archive.read("real-locks.json"))
FRESH = datetime.fromtimestamp(time.time() - 86400, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def interpreter() -> Interpreter:
    return find_interpreters(today=date.today(), environ=dict(os.environ))[-1]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeIndex]:
    with fake_index() as made:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{made.url}/simple")
        yield made


def fixed_in(version: str, id: str = "GHSA-gamma", name: str = "gamma") -> dict[str, object]:
    return record(id, name=name, events=[{"introduced": "0"}, {"fixed": version}])


@dataclass
class Project:
    """A project whose lock is made by a build, and then repaired."""

    root: Path
    place: Place
    interpreter: Interpreter
    cache: Path

    def locked(self, requirements: str = "alpha\ndelta\n", name: str = "requirements.txt") -> None:
        (self.root / name).write_text(requirements)
        self.build(name)

    def build(self, name: str = "requirements.txt") -> dict[str, str]:
        spec = FunctionSpec(name="hello", handler="app_:handler", requirements=name)
        with KnownHoles(self.place) as known:
            built = build(
                self.root,
                "demo",
                spec,
                self.root / "out",
                cache=self.cache,
                interpreters=[self.interpreter],
                known=known,
            )
        return {each.name: each.version for each in built.manifest.packages}

    def updated(self, name: str = "requirements.txt", *, newest: bool = False) -> LockUpdate:
        with KnownHoles(self.place) as known, KnownFindings(self.place) as holes:
            return Update(
                root=self.root,
                interpreter=self.interpreter,
                cache=self.cache,
                environ=dict(os.environ),
                known=known,
                holes=holes,
                tell=lambda _: None,
            ).of(name, newest=newest)

    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.root.iterdir() if path.is_file()}


Make = Callable[..., Project]


@pytest.fixture
def make(tmp_path: Path, interpreter: Interpreter, cache: Path) -> Make:
    def made(*records: dict[str, object]) -> Project:
        root = tmp_path / "project"
        root.mkdir()
        (root / "app_.py").write_text("def handler(event, context):\n    return None\n")
        place = Place(tmp_path / "advisories")
        import_records(place, *(records or (fixed_in("2.0"),)))
        return Project(root, place, interpreter, cache)

    return made


def publish(index: FakeIndex, *versions: str, needs: Sequence[str] = ()) -> None:
    """Publish alpha -> beta -> gamma; only beta 2.0 takes what is mended."""
    index.add("alpha", requires=["beta"])
    index.add("beta", requires=["gamma<2"])
    index.add("gamma")
    index.add("delta")


def publish_later(index: FakeIndex, **how: object) -> None:
    index.add("alpha", version="2.0", requires=["beta"])
    index.add("beta", version="1.1", requires=["gamma<2"])
    index.add("beta", {"beta.py": "import socket\n"}, version="2.0", requires=["gamma"])
    index.add("beta", version="3.0", requires=["gamma"])
    index.add("gamma", version="1.1")
    index.add("gamma", version="2.0", **how)  # type: ignore[arg-type]
    index.add("gamma", version="3.0", **how)  # type: ignore[arg-type]
    index.add("delta", version="2.0")


def changed(update: LockUpdate) -> dict[str, str | None]:
    return {each.package: each.new for each in update.plan.changes}


def reasons(update: LockUpdate) -> list[str]:
    return [each.reason for each in update.plan.uncleared]


def test_a_hole_two_levels_down_is_cleared_by_the_smallest_change(
    make: Make, index: FakeIndex
) -> None:
    project = make()
    publish(index)
    project.locked("alpha\ndelta\n")
    publish_later(index)
    before = project.files()
    update = project.updated()
    assert changed(update) == {"beta": "2.0", "gamma": "2.0"}
    assert update.plan.smallest and not update.plan.uncleared and not update.plan.loosened
    assert update.prices["beta"].gains == {Ability.NETWORK: "beta.py:1"}
    assert not update.prices["gamma"].gains
    assert project.files() == before  # nothing is written before it is asked for
    (lock,) = update.after
    assert write(project.root, [update]) == [lock]
    assert "# origin: gamma 2.0 " in (project.root / lock).read_text()
    assert project.build() == {"alpha": "1.0", "beta": "2.0", "gamma": "2.0", "delta": "1.0"}
    assert (project.root / lock).read_text() == update.after[lock]  # the build takes it as it is
    assert not project.updated().plan.changed


def test_a_pin_of_ones_own_is_changed_where_there_is_no_other_way(
    make: Make, index: FakeIndex
) -> None:
    project = make()
    publish(index)
    project.locked("# ours\nalpha\nbeta ==1.0  # for now\ndelta==1.0\n")
    publish_later(index)
    update = project.updated()
    assert update.plan.loosened == ("beta",)
    assert changed(update) == {"beta": "2.0", "gamma": "2.0"}
    assert update.after["requirements.txt"] == (
        "# ours\nalpha\nbeta ==2.0  # for now\ndelta==1.0\n"
    )
    assert next(iter(update.after)) == "requirements.txt"
    write(project.root, [update])
    assert project.build()["gamma"] == "2.0"


def test_what_cannot_be_cleared_is_said_with_its_reason(make: Make, index: FakeIndex) -> None:
    never = record("GHSA-other", name="delta", events=[{"introduced": "0"}])
    # Mended in 1.9, which nobody has: so 2.0 is exempt from nothing.
    project = make(fixed_in("1.9"), never)
    publish(index)
    project.locked()
    publish_later(index, uploaded=FRESH)
    update = project.updated()
    assert not update.plan.changed
    delta, gamma = reasons(update)
    assert gamma.startswith("gamma 2.0 was uploaded on ") and "releases are used after 14" in gamma
    assert delta == "no version is fixed"


def test_the_first_release_that_is_mended_does_not_wait(make: Make, index: FakeIndex) -> None:
    project = make()
    publish(index)
    project.locked()
    publish_later(index, uploaded=FRESH)
    assert changed(project.updated()) == {"beta": "2.0", "gamma": "2.0"}


def test_a_yanked_release_is_none_to_change_to(make: Make, index: FakeIndex) -> None:
    project = make()
    publish(index)
    project.locked()
    publish_later(index, yanked="broken")
    (reason,) = reasons(project.updated())
    assert reason.startswith("gamma 2.0 was yanked by its publisher: broken.")


def test_requirements_of_others_that_stand_in_the_way_are_named(
    make: Make, index: FakeIndex
) -> None:
    project = make()
    publish(index)
    project.locked()
    index.add("gamma", version="2.0")
    update = project.updated()
    assert not update.plan.changed
    (reason,) = reasons(update)
    assert "beta" in reason and "needs gamma<2" in reason


def test_another_publisher_is_not_taken_for_the_old_one(make: Make, index: FakeIndex) -> None:
    project = make()
    (project.root / "trusted.json").write_bytes(own_sigstore().trusted_root())
    (project.root / POLICY_FILE).write_text('trusted-root = "trusted.json"\n')
    index.add("alpha", requires=["gamma"])
    index.add("gamma", publisher="owner/gamma")
    project.locked("alpha\n")
    index.add("gamma", version="2.0", publisher="somebody/gamma")
    before = project.files()
    with pytest.raises(PublisherChangedError):
        project.updated()
    assert project.files() == before


def test_an_index_that_lies_changes_nothing(make: Make, index: FakeIndex) -> None:
    project = make()
    publish(index)
    project.locked()
    publish_later(index)
    before = project.files()
    lies: list[Callable[..., None]] = [
        lambda handler: handler.reply(200, JSON, b'{"name": "another", "files": []}'),
        lambda handler: handler.reply(200, "text/html", b"<html>a captive portal</html>"),
    ]
    for lie in lies:
        index.answer = lambda handler, lie=lie: (
            "/simple/gamma" in handler.path and (lie(handler) or True)
        )
        with pytest.raises(IndexAnswerError):
            project.updated()
    index.answer = None
    new = next(each for each in index.projects["gamma"] if "2.0" in each.name)
    new.data = new.data.replace(b"PK\x05\x06", b"PK\x05\x06", 1) + b"x"  # its hash stays as told
    with pytest.raises(CasemateError):
        project.updated()
    assert project.files() == before


def test_the_newest_that_the_rules_allow(make: Make, index: FakeIndex) -> None:
    project = make(fixed_in("2.0"), record("GHSA-o", name="delta", versions=["2.0"]))
    publish(index)
    project.locked()
    publish_later(index)
    index.add("alpha", version="4.0", uploaded=FRESH)
    update = project.updated(newest=True)
    assert changed(update) == {"alpha": "2.0", "beta": "3.0", "gamma": "3.0"}


def test_a_release_that_was_taken_over_goes_back_to_the_one_before(
    make: Make, index: FakeIndex
) -> None:
    project = make(record("GHSA-none", name="nobody-has-this"))
    index.add("alpha", requires=["gamma"])
    index.add("gamma", version="1.1")
    index.add("gamma", version="1.2")
    project.locked("alpha\n")
    evil = record("MAL-2026-1", name="gamma", versions=["1.2", "1.3"])
    import_records(project.place, evil)
    index.add("gamma", version="1.3")
    update = project.updated()
    assert changed(update) == {"gamma": "1.1"}
    assert update.plan.changes[0].down and update.plan.changes[0].clears == ("MAL-2026-1",)


def test_a_lock_of_uv_is_planned_and_left_to_uv(make: Make, index: FakeIndex) -> None:
    project = make()
    publish(index)
    (project.root / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.11"\n'
        'dependencies = ["alpha", "beta==1.0"]\n'
    )
    done = subprocess.run(
        [uv_binary(), "lock", "--quiet", "--default-index", f"{index.url}/simple"],
        cwd=project.root,
        capture_output=True,
        check=False,
        env={**os.environ, "UV_CACHE_DIR": str(project.cache / "own")},
    )
    assert done.returncode == 0, done.stderr
    publish_later(index)
    before = project.files()
    update = project.updated("uv.lock")
    assert changed(update) == {"beta": "2.0", "gamma": "2.0"}
    assert update.command == "uv lock --upgrade-package beta==2.0 --upgrade-package gamma==2.0"
    assert 'dependencies = ["alpha", "beta==2.0"]' in update.after["pyproject.toml"]
    assert "uv.lock" not in update.after and project.files() == before


def test_files_that_were_changed_meanwhile_are_left_alone(make: Make, index: FakeIndex) -> None:
    project = make()
    publish(index)
    project.locked()
    publish_later(index)
    update = project.updated()
    (project.root / "requirements.txt").write_text("alpha\ndelta\n# mine\n")
    (lock,) = update.after
    (project.root / lock).write_text("mine")
    with pytest.raises(ConflictError, match="changed meanwhile"):
        write(project.root, [update])
    assert (project.root / lock).read_text() == "mine"


def test_locks_of_other_tools_and_missing_ones_are_refused(make: Make, index: FakeIndex) -> None:
    project = make()
    publish(index)
    (project.root / "requirements.txt").write_text("alpha\n")
    with pytest.raises(RequirementsFileError, match="There is no lock"):
        project.updated()
    (project.root / "hashed.txt").write_text(f"alpha==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(RequirementsFileError, match="lock of another tool"):
        project.updated("hashed.txt")


def test_requirements_of_a_pyproject(make: Make, index: FakeIndex) -> None:
    project = make()
    publish(index)
    text = '[project]\nname = "x"\nversion = "1"\ndependencies = ["alpha", \'beta<2\']\n'
    project.locked(text, "pyproject.toml")
    publish_later(index)
    update = project.updated("pyproject.toml")
    assert changed(update) == {"beta": "2.0", "gamma": "2.0"}
    assert update.after["pyproject.toml"] == text.replace("beta<2", "beta>=2.0")
    write(project.root, [update])
    assert project.build("pyproject.toml")["beta"] == "2.0"


@pytest.mark.storm
@pytest.mark.parametrize("seed", range(30))
def test_uv_finds_the_smallest_of_all_changes(seed: int, make: Make, index: FakeIndex) -> None:
    graph, lock = generated(seed)
    project = make(
        *(
            record(found.id, name=name, events=[{"introduced": "0"}, {"fixed": found.fixed[0]}])
            for name, found in {name: found[0] for (name, _), found in graph.holes.items()}.items()
        )
    )
    (project.root / POLICY_FILE).write_text(
        f'[[exception]]\npackage = "p*"\nallow = ["name"]\nreason = "a test"\n'
        f"expires = {date.today()}\n"
    )
    for name, releases in graph.releases.items():
        for version in releases:
            if version == lock.get(name):
                index.add(name, version=version, requires=releases[version])
    project.locked("".join(f"{one}\n" for one in graph.required))
    for name, releases in graph.releases.items():
        for version in releases:
            if version != lock.get(name):
                index.add(name, version=version, requires=releases[version])
    update = project.updated()
    plan = update.plan
    assert plan.smallest
    left = frozenset((one.package, id) for one in plan.uncleared for id in one.ids)
    costs = [
        graph.cost(lock, other)
        for other in graph.every_lock()
        if graph.cost(lock, other) is not None
        and not any(is_hidden(graph, name, version, left) for name, version in other.items())
    ]
    assert graph.cost(lock, plan.versions) == min(cost for cost in costs if cost is not None)
    in_memory = Planner(graph, graph, lock, frozenset()).security()
    assert len(plan.uncleared) == len(in_memory.uncleared)
    if plan.changed:
        write(project.root, [update])
        assert project.build() == plan.versions


@pytest.mark.storm
@pytest.mark.parametrize("name", sorted(REAL["sets"]))
def test_real_locks_are_repaired_as_with_the_real_index(
    name: str, make: Make, index: FakeIndex
) -> None:
    """Over the releases that were looked into then, as wheels with the same requirements."""
    case = REAL["sets"][name]
    if not case["holes"]:
        pytest.skip("nothing is to be repaired")
    project = make()
    wanted = Wanted(source=str(REAL_ADVISORIES), ecosystems=(Ecosystem.PYPI,), fewer=True)
    import_advisories(wanted, project.place)
    (project.root / POLICY_FILE).write_text(
        "".join(
            f'[[exception]]\npackage = "{letter}*"\nallow = ["name"]\nreason = "a test"\n'
            f"expires = {date.today()}\n"
            for letter in string.ascii_lowercase
        )
    )
    releases = REAL["releases"]
    for package, version in case["lock"].items():
        index.add(package, version=version, requires=releases[package].get(version, ()))
    project.locked("".join(f"{one}\n" for one in case["requirements"]))
    for package, versions in releases.items():
        for version, requires in versions.items():
            if version != case["lock"].get(package):
                index.add(package, version=version, requires=requires)
    plan = project.updated().plan
    assert plan.uncleared == () and plan.smallest
    changed = {one.package: one.new for one in plan.changes if one.old and one.new}
    # Fewer releases are passed than there were: of two ways of one size the other may be nearer.
    assert len(changed) == sum(1 for old, new in case["changes"].values() if old and new)
    assert set(plan.loosened) == set(case["loosened"])
