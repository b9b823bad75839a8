from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casemate.build.errors import (
    DependencyError,
    RequirementsFileError,
    UnhashedRequirementError,
)
from casemate.build.requirements import Kind, read_requirements

HASH = "sha256:" + "a" * 64


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_plain_requirements(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"requirements.txt": "# a comment\nmarkdown>=3 # why\n\nPillow[xmp]; python_version>'3'\n"},
    )
    read = read_requirements(tmp_path, "requirements.txt")
    assert read.kind is Kind.REQUIREMENTS
    assert not read.locked
    assert read.files == {"requirements.txt": read.text}


def test_included_files_and_vendored_folders(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "req/main.txt": "-r base.txt\n--constraint=../limits.txt\n-f ../wheels\n--no-index\nb",
            "req/base.txt": "-r main.txt\na\n",
            "limits.txt": "a<2\n",
            "wheels/keep": "",
        },
    )
    read = read_requirements(tmp_path, "req/main.txt")
    assert set(read.files) == {"req/main.txt", "req/base.txt", "limits.txt"}
    assert read.vendored == ("wheels",)
    assert read.options == ("--no-index",)
    before = read.fingerprint
    write(tmp_path, {"limits.txt": "a<3\n"})
    assert read_requirements(tmp_path, "req/main.txt").fingerprint != before


def test_fully_hashed_is_locked_and_partly_hashed_is_not(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "all.txt": f"a==1 \\\n    --hash={HASH} \\\n    --hash={HASH}\nb==2 --hash {HASH}\n",
            "some.txt": f"a==1 --hash={HASH}\nb==2\n",
            "none.txt": "",
        },
    )
    assert read_requirements(tmp_path, "all.txt").locked
    assert not read_requirements(tmp_path, "some.txt").locked
    assert not read_requirements(tmp_path, "none.txt").locked


@pytest.mark.parametrize("weak", ["md5:" + "a" * 32, "sha1:" + "a" * 40])
def test_weak_hashes_are_refused(tmp_path: Path, weak: str) -> None:
    write(tmp_path, {"requirements.txt": f"a==1 --hash={weak}\n"})
    with pytest.raises(UnhashedRequirementError, match="expected sha256"):
        read_requirements(tmp_path, "requirements.txt")


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "--editable=.",
        "./local",
        "../x.whl",
        "/etc/passwd",
        "x.whl/../y",
        "git+https://example.org/x",
        "x @ git+https://example.org/x",
        "x @ file:///etc/passwd",
        "https://example.org/x.tar.gz",
        "--no-binary=:all:",
        "--trusted-host=example.org",
        "--config-settings=x",
        "--index-url=https://user:secret@example.org/simple",
        "--index-url=file:///srv",
        "--find-links=../outside",
        "--find-links=missing",
        "-r ../outside.txt",
        "-r /etc/passwd",
        "-r missing.txt",
        "$(touch /tmp/x)",
        "\x00",
    ],
)
def test_what_is_not_a_wheel_from_an_index_is_refused(tmp_path: Path, line: str) -> None:
    root = tmp_path / "project"
    write(root, {"requirements.txt": line + "\n"})
    with pytest.raises(RequirementsFileError) as caught:
        read_requirements(root, "requirements.txt")
    assert str(tmp_path) not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_files_outside_the_project_are_not_read(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("a\n")
    (root / "link.txt").symlink_to("../secret.txt")
    for name in ("../secret.txt", "link.txt", str(tmp_path / "secret.txt"), "a\0b"):
        with pytest.raises(RequirementsFileError):
            read_requirements(root, name)


@pytest.mark.parametrize("name", ["missing.txt", "folder"])
def test_no_such_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(RequirementsFileError, match="no file"):
        read_requirements(tmp_path, name)


def test_binary_and_endless_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with (tmp_path / "large.txt").open("wb") as file:
        file.truncate(5 * 1024 * 1024)
    with pytest.raises(RequirementsFileError, match="UTF-8"):
        read_requirements(tmp_path, "binary.txt")
    with pytest.raises(RequirementsFileError, match="larger"):
        read_requirements(tmp_path, "large.txt")


def test_pyproject_depends_on_its_dependencies_only(tmp_path: Path) -> None:
    text = "[project]\nname='x'\nversion='1'\ndependencies=['a']\n"
    write(tmp_path, {"pyproject.toml": text})
    read = read_requirements(tmp_path, "pyproject.toml")
    assert read.kind is Kind.PYPROJECT
    write(tmp_path, {"pyproject.toml": text + "description='new'\n[tool.other]\nx=1\n"})
    assert read_requirements(tmp_path, "pyproject.toml").fingerprint == read.fingerprint
    write(tmp_path, {"pyproject.toml": text.replace("'a'", "'a>1'")})
    assert read_requirements(tmp_path, "pyproject.toml").fingerprint != read.fingerprint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[build-system]\n", "no .project. table"),
        ("[project]\nname='x'\ndynamic=['dependencies']\n", "run code"),
        ("[project", "not valid TOML"),
        ("project = 3\n", "no .project. table"),
    ],
)
def test_unusable_pyprojects(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, {"pyproject.toml": text})
    with pytest.raises(RequirementsFileError, match=message):
        read_requirements(tmp_path, "pyproject.toml")


def test_uv_lock_needs_its_project_and_is_taken_for_it(tmp_path: Path) -> None:
    write(tmp_path, {"uv.lock": "version = 1\n"})
    with pytest.raises(RequirementsFileError, match="beside"):
        read_requirements(tmp_path, "uv.lock")
    write(tmp_path, {"pyproject.toml": "[project]\nname='x'\n"})
    for name in ("uv.lock", "pyproject.toml"):
        read = read_requirements(tmp_path, name)
        assert (read.kind, read.name, read.locked) == (Kind.UV_LOCK, "uv.lock", True)


WHEEL = "wheels = [{url='https://example.org/a.whl', hashes={%s}}]"


@pytest.mark.parametrize(
    ("package", "error"),
    [
        ("sdist = {url='https://example.org/a.tar.gz', hashes={sha256='a'}}", "without a wheel"),
        ("directory = {path='.'}", "without a wheel"),
        ("vcs = {type='git', url='https://example.org', commit-id='a'}", "without a wheel"),
        ("wheels = []", "without a wheel"),
        (WHEEL % "md5='a'", "SHA-2"),
        ("wheels = [{url='https://example.org/a.whl'}]", "SHA-2"),
        ("wheels = [3]", "SHA-2"),
    ],
)
def test_pylock_must_hold_hashed_wheels_only(tmp_path: Path, package: str, error: str) -> None:
    head = "lock-version = '1.0'\ncreated-by = 'x'\n[[packages]]\nname = 'a'\n"
    write(tmp_path, {"pylock.toml": head + package})
    with pytest.raises(DependencyError, match=error):
        read_requirements(tmp_path, "pylock.toml")
    write(tmp_path, {"pylock.dev.toml": head + WHEEL % "sha256='a'"})
    assert read_requirements(tmp_path, "pylock.dev.toml").kind is Kind.PYLOCK


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
@given(
    name=st.sampled_from(["requirements.txt", "pyproject.toml", "pylock.toml"]),
    data=st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "ignore")),
)
def test_any_content_is_read_or_refused(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    try:
        read_requirements(tmp_path, name)
    except DependencyError as error:
        assert str(tmp_path) not in str(error)


def test_a_number_of_too_many_digits_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"pyproject.toml": f"[project]\nname = {'9' * 5000}\n"})
    with pytest.raises(RequirementsFileError, match=r"not valid TOML: .*digits"):
        read_requirements(tmp_path, "pyproject.toml")


@pytest.mark.parametrize("name", ["pylock.toml", "pyproject.toml"])
def test_keys_that_take_their_reader_for_ever_are_refused(tmp_path: Path, name: str) -> None:
    root = tmp_path / "project"
    write(root, {name: "a" + ".a" * 50_000 + " = 1\n"})
    with pytest.raises(RequirementsFileError, match="dots"):
        read_requirements(root, name)
