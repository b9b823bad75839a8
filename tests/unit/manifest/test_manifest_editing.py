"""Writing grants: back to a manifest's text, and into a manifest without touching the rest."""

from __future__ import annotations

import os
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.manifest import EditError, ManifestChangedError, ManifestEditor, ManifestError
from casemate.manifest.editing import with_grants
from casemate.manifest.rendering import grants_table, grants_text
from casemate.model.grant import Grant, GrantKind

JOBS = Grant(kind=GrantKind.QUEUE, name="jobs", actions=("send",))
KEY = Grant(kind=GrantKind.SECRET, name="key", actions=("read",))
UPLOADS = Grant(
    kind=GrantKind.BUCKET, name="uploads", actions=("read", "list"), prefixes=('a"\\/', "ü/")
)
DATABASE = Grant(
    kind=GrantKind.EGRESS,
    name="db.internal:5432",
    actions=("connect",),
    forward=5432,
    private=True,
    exception='the "old" database',
)
ALL = (UPLOADS, JOBS, KEY, DATABASE)

MANIFEST = """\
# the shop
[project]
name = "shop"   # keep me

[function.f]
handler = "app:handler"
description = '''
[function.f.grants]
# not a header '''

# why it may do this
[function.f.grants]
queues = ["jobs"] # inside: goes
secrets = [
  "key",
]

# the other one
[function.g]
handler = "app:handler"
[[function.g.http]]
method = "GET"
path = "/g"

[function.g.limits]
memory = "64MB"
# the end
[queue.jobs]
[bucket.uploads]"""


def test_what_is_written_is_what_is_read() -> None:
    text = grants_text("f", ALL)
    assert tomllib.loads(text) == {"function": {"f": {"grants": grants_table(ALL)}}}
    assert text.splitlines()[0] == "[function.f.grants]"
    assert grants_text("f", ()) == "[function.f.grants]\n"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8))
@settings(max_examples=300, deadline=None)
def test_every_text_survives(text: str) -> None:
    grant = Grant(kind=GrantKind.BUCKET, name="b", actions=("read",), prefixes=(text,))
    data = tomllib.loads(grants_text("f", (grant,)))
    assert data["function"]["f"]["grants"]["buckets"][0]["prefixes"] == [text]


def test_the_grants_alone_are_replaced(project) -> None:
    path = project.write(MANIFEST)
    ManifestEditor(path).write({"f": (JOBS,)})
    before, _, rest = MANIFEST.partition('queues = ["jobs"] # inside: goes\n')
    after = rest.partition("]\n")[2]
    assert path.read_text() == f'{before}queues = ["jobs"]\n{after}'


def test_grants_are_added_behind_the_function_s_own_tables(project) -> None:
    path = project.write(MANIFEST)
    ManifestEditor(path).write({"g": (JOBS,)})
    text = path.read_text()
    added = '\n[function.g.grants]\nqueues = ["jobs"]\n\n'
    assert text.replace(added, "", 1) == MANIFEST
    assert f'memory = "64MB"\n{added}# the end\n' in text


def test_several_functions_and_scattered_tables(project) -> None:
    text = (
        MANIFEST.replace(
            "secrets = [",
            '[[function.f.grants.buckets]]\nname = "uploads"\nactions = ["read"]\n'
            "[function.h]\nhandler = 'app:handler'\n"
            '[[function.f.grants.egress]]\nhost = "a.example"\n[x]\ny = [',
        )
        .replace("[x]\ny = [", "[function.h.environment]\nX = [")
        .replace('X = [\n  "key",\n]', "")
    )
    path = project.write(text)
    ManifestEditor(path).write({"f": ALL, "g": (KEY,), "h": ()})
    project_read = ManifestEditor(path).project
    assert project_read.function("f").grants == ALL
    assert project_read.function("g").grants == (KEY,)
    assert path.read_text().count("[function.f.grants]") == 2  # one is inside of a text
    assert "buckets]]" not in path.read_text()


def test_the_last_line_without_an_end_and_crlf(project) -> None:
    text = '[project]\r\nname = "shop"\r\n[queue.jobs]\r\n[function.f]\r\nhandler = "app:handler"'
    path = project.write(text.encode())
    ManifestEditor(path).write({"f": (JOBS,)})
    added = b'\r\n\r\n[function.f.grants]\r\nqueues = ["jobs"]\r\n'
    assert path.read_bytes() == text.encode() + added
    ManifestEditor(path).write({"f": ()})
    assert b"queues" not in path.read_bytes()
    assert b"\n" not in path.read_bytes().replace(b"\r\n", b"")


@pytest.mark.parametrize(
    "function",
    [
        '[function.f]\nhandler = "app:handler"\ngrants = { queues = ["jobs"] }\n',
        '[function.f]\nhandler = "app:handler"\ngrants.queues = ["jobs"]\n',
        '[function]\nf = { handler = "app:handler" }\n',
        '[function]\nf.handler = "app:handler"\nf.grants.queues = ["jobs"]\n',
    ],
)
def test_other_forms_are_refused_with_what_to_write(project, function) -> None:
    text = f'project.name = "shop"\nqueue.jobs = {{}}\n{function}'
    path = project.write(text)
    with pytest.raises(EditError, match=r'queues = \["jobs"\]'):
        ManifestEditor(path).write({"f": (JOBS, KEY)})
    assert path.read_text() == text
    assert sorted(os.listdir(project.root)) == ["app.py", "casemate.toml"]


def test_a_result_that_is_no_valid_manifest_is_not_written(project) -> None:
    path = project.write(MANIFEST.replace("[queue.jobs]\n", "").replace('queues = ["jobs"]', ""))
    before = path.read_bytes()
    with pytest.raises(EditError, match="does not declare"):
        ManifestEditor(path).write({"f": (JOBS,)})
    with pytest.raises(EditError, match="not written as tables"):
        ManifestEditor(path).write({"nothing": (KEY,)})
    assert path.read_bytes() == before


def test_a_file_that_changed_meanwhile_is_let_be(project) -> None:
    path = project.write(MANIFEST)
    editor = ManifestEditor(path)
    path.write_text(MANIFEST + "\n# new")
    with pytest.raises(ManifestChangedError, match="nothing was written"):
        editor.write({"f": ()})
    assert path.read_text() == MANIFEST + "\n# new"
    assert sorted(os.listdir(project.root)) == ["app.py", "casemate.toml"]


def test_mode_and_link_stay(project) -> None:
    path = project.write(MANIFEST)
    path.chmod(0o640)
    real = path.rename(project.root / "real.toml")
    path.symlink_to("real.toml")
    ManifestEditor(path).write({"f": ()})
    assert path.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert "[function.f.grants]\n\n# the other one" in real.read_text()


def test_only_what_loads_is_edited(project) -> None:
    with pytest.raises(EditError):
        ManifestEditor(project.root / "none.toml")
    with pytest.raises(ManifestError):
        ManifestEditor(project.write("x = 1"))


PIECES = st.sampled_from(
    [
        "# c\n",
        "\n",
        "[function.f]\n",
        "[function.g]\n",
        "[function.f.grants]\n",
        "[[x]]\n",
        "[y]\n",
        'a = """\n[function.f.grants]\n"""\n',
        "b = [\n# c\n1,\n]\n",
        'queues = ["jobs"]\n',
        "[[function.f.grants.egress]]\n",
        "h = { a = 1 }\n",
        "grants.q = 1\n",
        "\u2028",
        "\x0b",
        "x",
    ]
)


@given(st.lists(PIECES, max_size=12), st.sampled_from([(), (JOBS,), ALL]))
@settings(max_examples=500, deadline=None)
def test_whatever_the_text_nothing_but_the_grants_changes(pieces, grants) -> None:
    text = "".join(pieces)
    try:
        edited = with_grants(text.encode(), "f", grants).decode()
    except EditError:
        return
    before, after = tomllib.loads(text), tomllib.loads(edited)
    assert after["function"]["f"].pop("grants") == grants_table(grants)
    before["function"]["f"].pop("grants", None)
    assert after == before
