"""A text that is all of a file of the function's own code is none of the event's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from casemate.guard import own_files

TEXT = "Dear {{ name }},\nwelcome.\n"


@pytest.fixture
def kept(tmp_path: Path) -> dict[Any, Any]:
    """What is kept of an invocation that has opened a template of the code's."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "mail.txt").write_text(TEXT)
    found: dict[Any, Any] = {}
    own_files.opened(found, f"{tmp_path}/code/", f"{tmp_path}/code/mail.txt")
    return found


@pytest.mark.parametrize(
    ("text", "held"),
    [
        (TEXT, True),
        (TEXT.strip(), True),
        (TEXT.replace("Dear", "dear"), False),
        (TEXT + "{{ evil }}", False),
        ("{{ name }}", False),
        ("", False),
        (TEXT + "\n" * own_files.MAX_SIZE, False),
    ],
)
def test_all_of_a_file_counts_and_no_part(kept: dict[Any, Any], text: str, *, held: bool) -> None:
    assert own_files.holds(kept, text) is held


def test_line_ends_of_another_system_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\r\n")
    kept: dict[Any, Any] = {}
    own_files.opened(kept, f"{tmp_path}/", f"{tmp_path}/a.txt")
    assert own_files.holds(kept, "one\ntwo\n")


@pytest.mark.parametrize("path", ["/etc/hosts", "{}/code/../other.txt", 3, b"x", None])
def test_what_is_elsewhere_is_not_taken_in(tmp_path: Path, path: object) -> None:
    kept: dict[Any, Any] = {}
    given = path.format(tmp_path) if isinstance(path, str) else path
    own_files.opened(kept, f"{tmp_path}/code/", given)
    assert not kept


def test_files_that_are_gone_or_no_text_hold_nothing(tmp_path: Path) -> None:
    kept: dict[Any, Any] = {}
    (tmp_path / "b").write_bytes(b"\xff\xfe")
    for name in ("a", "b"):
        own_files.opened(kept, f"{tmp_path}/", f"{tmp_path}/{name}")
    assert not own_files.holds(kept, "xx")


def test_no_more_than_so_many_are_kept(kept: dict[Any, Any], tmp_path: Path) -> None:
    for number in range(own_files.MAX_FILES):
        own_files.opened(kept, f"{tmp_path}/code/", f"{tmp_path}/code/{number}")
    assert not own_files.holds(kept, TEXT)
    assert all(len(noted) == own_files.MAX_FILES for noted in kept.values())


@pytest.mark.parametrize(
    ("written", "value", "held"),
    [
        ("when = \"'beta' in user['tags']\"", "'beta' in user['tags']", True),
        ('{"when": "a == \\"b\\" or c"}', 'a == "b" or c', True),
        ("when: plan == 'pro'", "plan == 'pro'", True),
        ("- plan == 'pro'", "plan == 'pro'", True),
        ("when = \"'beta' in user\"", "'beta' in user or 1", False),
        ("when = \"'beta' in user\"", "beta' in", False),
        ('when = "short"', "short", False),
        ("plan == 'pro' of all", "plan == 'pro'", False),
    ],
)
def test_a_value_in_settings_counts_as_a_whole(
    tmp_path: Path, written: str, value: str, *, held: bool
) -> None:
    (tmp_path / "flags.toml").write_text(f"[one]\n{written}\n")
    kept: dict[Any, Any] = {}
    own_files.opened(kept, f"{tmp_path}/", f"{tmp_path}/flags.toml")
    assert own_files.has_value(kept, value) is held
