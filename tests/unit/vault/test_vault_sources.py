"""Sources of the master key: made safely, refused where others could have them."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.vault import key_material, sources
from casemate.vault.envelope import new_key
from casemate.vault.errors import MasterKeySourceError
from casemate.vault.key_material import create_key_file, has_key_file, parse_key
from casemate.vault.sources import KeyParameters, KeySource, PassphraseCost, parse_source

CHEAP = PassphraseCost(time=1, memory=19 * 1024, lanes=1)
PHRASE = "correct horse battery"


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    monkeypatch.setattr(sources, "PassphraseCost", lambda: CHEAP)


def source(text: str, **more) -> KeySource:
    return KeySource(parse_source(text), **more)


@pytest.fixture
def typed(monkeypatch):
    """What asks somebody who types what is said, from then on."""

    def asked(answer: Callable[[str], str]) -> KeySource:
        monkeypatch.setattr(sources.getpass, "getpass", answer)
        return source("passphrase")

    return asked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "file:",
        "file:relative/path",
        "file",
        "env:",
        "env:A-B",
        "env:1A",
        "passphrase:x",
        "passphrase-file:x",
        "fd:-1",
        "fd:x",
        "fd:\u0663",
        "command:wrap",
        "vault:/x",
        "file:/a\0b",
    ],
)
def test_texts_that_name_no_source(text) -> None:
    with pytest.raises(MasterKeySourceError) as caught:
        parse_source(text)
    assert caught.value.next_step


def test_a_key_file_is_made_once_and_read_again(tmp_path) -> None:
    path = tmp_path / "master.key"
    key, parameters = source(f"file:{path}").create()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert base64.b64decode(path.read_text()) == key
    assert source(f"file:{path}").read(parameters) == key
    assert source(f"file:{path}").create()[0] == key, "a file that is there is used"


_ENDING = """
import os, pathlib, sys
from casemate.kernel import placing
from casemate.vault.errors import MasterKeySourceError
from casemate.vault.key_material import create_key_file
step, ends, path = sys.argv[1:]
def fail(*_given):
    if ends == "killed":
        os._exit(9)
    raise OSError(28, "No space left on device")
setattr(placing if step == "_rename_new" else os, step, fail)
try:
    create_key_file(pathlib.Path(path))
except MasterKeySourceError:
    sys.exit(8)
"""


@pytest.mark.parametrize("step", ["fsync", "_rename_new"])
@pytest.mark.parametrize("ends", ["killed", "full"])
def test_a_key_file_that_was_not_completed_is_made_anew(tmp_path, step, ends) -> None:
    """Before: an empty file stayed, by which no start succeeded any more."""
    path = tmp_path / "master.key"
    done = subprocess.run([sys.executable, "-c", _ENDING, step, ends, str(path)], check=False)
    assert done.returncode == (9 if ends == "killed" else 8)
    assert not path.exists()
    key = create_key_file(path)
    assert parse_key(path.read_bytes(), "it") == key
    assert [entry.name for entry in tmp_path.iterdir()] == ["master.key"]
    assert path.stat().st_mode & 0o777 == 0o600 and path.stat().st_nlink == 1
    with pytest.raises(MasterKeySourceError, match="File exists"):
        create_key_file(path)
    assert parse_key(path.read_bytes(), "it") == key


_CLAIMED = """
import errno, os, pathlib, sys
from casemate.kernel import placing
from casemate.vault.key_material import create_key_file
def refuse(*_given):
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
def none(*_given):
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))
os.link, placing._rename_new = none, refuse
if sys.argv[2] == "killed":
    pathlib.Path.replace = lambda *_given: os._exit(9)
create_key_file(pathlib.Path(sys.argv[1]))
"""


def test_a_key_file_is_made_where_the_disk_has_neither_links_nor_exclusive_renames(
    tmp_path: Path,
) -> None:
    """Before: no node could be started with its key on such a disk."""
    path = tmp_path / "master.key"
    command = [sys.executable, "-c", _CLAIMED, str(path)]
    assert subprocess.run([*command, "killed"], check=False).returncode == 9
    assert path.read_bytes() == b"" and not has_key_file(path)
    key, _ = source(f"file:{path}").create()
    assert parse_key(path.read_bytes(), "it") == key and has_key_file(path)
    path.unlink()
    assert subprocess.run([*command, ""], check=False).returncode == 0
    assert has_key_file(path)
    assert source(f"file:{path}").create()[0] == parse_key(path.read_bytes(), "it")
    assert [entry.name for entry in tmp_path.iterdir()] == ["master.key"]


def test_an_empty_file_without_a_draft_is_somebodys(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.touch(mode=0o600)
    assert has_key_file(path)
    with pytest.raises(MasterKeySourceError, match="holds 0 characters"):
        source(f"file:{path}").create()


def test_hexadecimal_is_read_too(tmp_path) -> None:
    key = new_key()
    path = tmp_path / "key"
    path.write_text(key.hex() + "\n")
    path.chmod(0o600)
    assert source(f"file:{path}").read(KeyParameters()) == key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_a_file_that_others_can_read_is_refused(tmp_path, mode) -> None:
    path = tmp_path / "key"
    path.write_text(new_key().hex())
    path.chmod(mode)
    with pytest.raises(MasterKeySourceError, match=f"{mode:04o}"):
        source(f"file:{path}").read(KeyParameters())


def test_links_folders_pipes_and_missing_files_are_refused(tmp_path) -> None:
    (tmp_path / "key").write_text(new_key().hex())
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "link").symlink_to(tmp_path / "key")
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("link", "pipe", ".", "missing"):
        with pytest.raises(MasterKeySourceError):
            source(f"file:{tmp_path / name}").read(KeyParameters())


def test_by_whatever_path_the_data_folder_is_known(tmp_path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "seen").symlink_to(tmp_path / "data")
    with pytest.raises(MasterKeySourceError, match="inside the data folder"):
        source(f"file:{tmp_path}/data/key", forbidden=tmp_path / "seen").create()


@pytest.mark.parametrize("way", ["data/key", "data/../data/key", "link/key"])
def test_a_key_inside_the_data_folder_is_refused(tmp_path, way) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "link").symlink_to(data)
    for kind in ("file", "passphrase-file"):
        with pytest.raises(MasterKeySourceError, match="inside the data folder"):
            source(f"{kind}:{tmp_path / way}", forbidden=data).create()
    assert not list(data.iterdir())


@given(st.binary(max_size=80))
def test_text_that_is_no_key_is_refused_and_not_repeated(text) -> None:
    with pytest.raises(MasterKeySourceError) as caught:
        key_material.parse_key(b"!" + text, "here")
    assert "!" not in caught.value.message


@pytest.mark.parametrize("key", [bytes(32), b"\1\2" * 16])
def test_a_key_that_is_not_random_is_refused(key) -> None:
    with pytest.raises(MasterKeySourceError, match="not random"):
        key_material.parse_key(base64.b64encode(key), "here")


def test_a_variable_is_gone_from_memory_too() -> None:
    key = new_key().hex()
    program = (
        "import sys; from casemate.vault.sources import *\n"
        "key = KeySource(parse_source('env:CM_KEY')).read(KeyParameters())\n"
        "environ = open('/proc/self/environ', 'rb').read()\n"
        "assert b'CM_KEY=' in environ and key.hex().encode() not in environ\n"
        "import os; assert 'CM_KEY' not in os.environ and not os.getenv('CM_KEY')\n"
        "print(key.hex() == sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, key],
        env={**os.environ, "CM_KEY": key},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "True\n", done.stderr


def test_a_missing_variable() -> None:
    with pytest.raises(MasterKeySourceError, match="no variable CM_NOT_THERE"):
        source("env:CM_NOT_THERE").read(KeyParameters())


def test_a_passphrase_gives_the_same_key_with_the_same_salt(tmp_path, typed) -> None:
    path = tmp_path / "phrase"
    path.write_text(PHRASE + "\nsecond line")
    path.chmod(0o600)
    key, parameters = source(f"passphrase-file:{path}").create()
    assert len(parameters.salt) == 16
    assert source(f"passphrase-file:{path}").read(parameters) == key
    assert typed(lambda _: PHRASE).read(parameters) == key
    reading, writing = os.pipe()
    os.write(writing, PHRASE.encode())
    os.close(writing)
    assert source(f"fd:{reading}").read(parameters) == key
    assert typed(lambda _: PHRASE).create()[0] != key
    assert typed(lambda _: PHRASE + "!").read(parameters) != key


def test_composed_and_decomposed_characters_are_the_same(typed) -> None:
    key, parameters = typed(lambda _: "caf\u00e9 caf\u00e9 caf\u00e9").create()
    other = typed(lambda _: "cafe\u0301 cafe\u0301 cafe\u0301")
    assert other.read(parameters) == key


def test_weak_or_mistyped_passphrases_are_refused(typed) -> None:
    with pytest.raises(MasterKeySourceError, match="11 characters"):
        typed(lambda _: "x" * 11).create()
    answers = iter([PHRASE, PHRASE + "x"])
    with pytest.raises(MasterKeySourceError, match="not the same"):
        typed(lambda _: next(answers)).create()

    def no_terminal(_prompt: str) -> str:
        raise EOFError

    with pytest.raises(MasterKeySourceError, match="no terminal"):
        typed(no_terminal).create()


def plugin(tmp_path: Path, body: str, mode: int = 0o700) -> Path:
    path = tmp_path / "plugin"
    path.write_text(f"#!{sys.executable}\nimport sys, time\ndata = sys.stdin.buffer.read()\n{body}")
    path.chmod(mode)
    return path


XOR = "sys.stdout.buffer.write(bytes(b ^ int(sys.argv[1]) for b in data))"


def test_a_plug_in_wraps_and_unwraps(tmp_path) -> None:
    path = plugin(tmp_path, XOR)
    key, parameters = source(f"command:{path} 77").create()
    assert parameters.wrapped == bytes(b ^ 77 for b in key)
    assert source(f"command:{path} 77").read(parameters) == key


@pytest.mark.parametrize(
    "body",
    [
        "sys.stdout.buffer.write(data)",
        "sys.stdout.buffer.write(b'x' + data)",
        "pass",
        "sys.exit(3)",
        "sys.stdout.buffer.write(bytes(b ^ 1 for b in data) + b'x')",
        "sys.stdout.buffer.write(bytes(70000))",
    ],
)
def test_plug_ins_that_do_not_wrap(tmp_path, body) -> None:
    path = plugin(tmp_path, body)
    with pytest.raises(MasterKeySourceError) as caught:
        source(f"command:{path}").create()
    assert caught.value.next_step


def test_a_plug_in_has_only_so_long(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(key_material, "COMMAND_SECONDS", 0.3)
    with pytest.raises(MasterKeySourceError, match="longer than"):
        source(f"command:{plugin(tmp_path, 'time.sleep(30)')}").create()


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
def test_a_plug_in_that_others_can_change_is_not_run(tmp_path, mode) -> None:
    path = plugin(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')", mode)
    with pytest.raises(MasterKeySourceError, match="changed by other users"):
        source(f"command:{path}").create()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
def test_a_plug_in_in_a_folder_that_others_can_change_is_not_run(tmp_path, mode) -> None:
    """They would put another one there, which is given the master key."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    path = plugin(folder, f"open({str(tmp_path / 'ran')!r}, 'w')")
    link = tmp_path / "link"
    link.symlink_to(path)
    folder.chmod(mode)
    for place in (path, link):
        with pytest.raises(MasterKeySourceError, match="plugins can be changed by other users"):
            source(f"command:{place}").create()
    assert not (tmp_path / "ran").exists()
    folder.chmod(mode | 0o1000)
    with pytest.raises(MasterKeySourceError, match="did not wrap"):
        source(f"command:{path}").create()


def test_nothing_to_unwrap_or_no_salt_is_told(tmp_path, typed) -> None:
    for one in (source(f"command:{plugin(tmp_path, XOR)} 7"), typed(lambda _: PHRASE)):
        with pytest.raises(MasterKeySourceError, match="was not made with a source like"):
            one.read(KeyParameters())
