"""Secrets that are gone from the files are found in the history, and no repository runs anything."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from casemate.audit import Options, Report, audit, past, repository
from casemate.audit.finding import Finding, Severity
from casemate.audit.outputs import json_of, sarif_of
from casemate.audit.past import Past
from casemate.audit.repository import GitError, ask
from casemate.audit.workspace import Workspace

SLACK = "xoxb-" + "263594206564-2343594206574-FGqddMF8t08v8N7Oq4i57vs1"
NAMED = "client_secret = 'kV9mQ2xT7pLw4ZrN8sYb'\n"
MANIFEST = '[project]\nname = "demo"\n\n[function.thing]\nhandler = "app:handler"\n'
CODE = "def handler(event, context):\n    return None\n"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, **files: str | None) -> str:
    """Write files (None: delete), commit, and return the commit."""
    for key, text in files.items():
        file = folder / key.replace("__", "/").replace("_py", ".py").replace("_env", ".env")
        file.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
    git(folder, "add", "-A", ".")
    git(folder, "commit", "-qm", "x")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "casemate.toml").write_text(MANIFEST)
    commit(root, app_py=CODE)
    return root


def report(path: Path, **options: object) -> Report:
    return audit(path, Options(**{"commits": 1000, **options}))  # type: ignore[arg-type]


def found(path: Path, **options: object) -> list[Finding]:
    return [f for f in report(path, **options).findings if f.rule.startswith("SEC-")]


def test_a_secret_that_was_deleted_is_found_with_its_commit(folder: Path) -> None:
    made = commit(folder, app_py=f"# first\nTOKEN = '{SLACK}'\n" + CODE)
    commit(folder, app_py=f"# moved\n\nTOKEN = '{SLACK}'\n" + CODE)
    commit(folder, app_py=CODE)
    [finding] = found(folder)
    assert (finding.rule, finding.severity) == ("SEC-011", Severity.MEDIUM)
    assert (finding.place.file, finding.place.line) == ("app.py", 2)
    assert made[:12] in finding.text and "gone from the files" in finding.text
    assert SLACK not in json_of(report(folder)) + sarif_of(report(folder))


def test_one_that_is_still_there_is_told_once(folder: Path) -> None:
    commit(folder, app_py=f"TOKEN = '{SLACK}'\n" + CODE)
    commit(folder, app_py=f"TOKEN = '{SLACK}'  # known\n" + CODE)
    assert [f.rule for f in found(folder)] == ["SEC-001"]
    (folder / "app.py").write_text(CODE)  # not committed: the newest commit has it
    [finding] = found(folder)
    assert (finding.rule, finding.severity) == ("SEC-011", Severity.HIGH)
    assert "still in the newest commit" in finding.text


def test_tests_and_names_are_milder(folder: Path) -> None:
    commit(folder, tests__test_x_py=f"TOKEN = '{SLACK}'\n", app_py=NAMED + CODE)
    commit(folder, tests__test_x_py=None, app_py=CODE)
    assert [f.severity for f in found(folder)] == [Severity.LOW, Severity.LOW]


def test_deleted_files_merges_and_other_branches_are_searched(folder: Path) -> None:
    git(folder, "checkout", "-qb", "other")
    commit(folder, settings_env=f"T={SLACK}\n")
    git(folder, "checkout", "-q", "main")
    assert [f.place.file for f in found(folder)] == ["settings.env"]
    git(folder, "merge", "-q", "--no-ff", "-m", "m", "other")
    commit(folder, settings_env=None)
    assert [f.place.file for f in found(folder)] == ["settings.env"]


KEY = (
    "-----BEGIN "
    + "PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2\n"
    "OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r\n"
    "-----END PRIVATE KEY-----\n"
)


def test_keys_and_wide_texts_are_read_and_what_others_wrote_is_not(folder: Path) -> None:
    (folder / "id_rsa").write_text(KEY)
    (folder / "wide.py").write_bytes(f"T = '{SLACK}'\n".encode("utf-16"))
    (folder / "node_modules").mkdir()
    (folder / "node_modules/a.js").write_text(NAMED)
    commit(folder, app_py=CODE)
    for name in ("id_rsa", "wide.py", "node_modules/a.js"):
        (folder / name).unlink()
    commit(folder, app_py=CODE)
    assert sorted(f.place.file for f in found(folder)) == ["id_rsa", "wide.py"]


def test_a_folder_of_a_repository_is_searched_alone(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner/casemate.toml").write_text(MANIFEST)
    commit(folder, inner__app_py=f"T = '{SLACK}'\n" + CODE, other_py=NAMED)
    commit(folder, inner__app_py=CODE, other_py="")
    assert [f.place.file for f in found(folder / "inner")] == ["app.py"]
    assert len(found(folder)) == 2


def test_since_searches_what_came_after(folder: Path) -> None:
    commit(folder, app_py=f"T = '{SLACK}'\n" + CODE)
    base = commit(folder, app_py=CODE)
    commit(folder, b_py=NAMED)
    commit(folder, b_py="")
    assert [f.place.file for f in found(folder, since=base, files=frozenset())] == ["b.py"]


@pytest.mark.parametrize("commits", [0, 1])
def test_commits_are_bounded_and_that_is_told(folder: Path, commits: int) -> None:
    commit(folder, app_py=f"T = '{SLACK}'\n" + CODE)
    commit(folder, app_py=CODE)
    told = report(folder, commits=commits)
    assert [f for f in told.findings if f.rule == "SEC-011"] == []
    notes = [each.what for each in told.unresolved]
    assert ("only the newest 1 commits are searched for secrets" in notes) is (commits == 1)


@pytest.mark.parametrize(
    ("bound", "value", "told"),
    [
        ("MAX_HISTORY_BYTES", 10, "only a part of the history"),
        ("MAX_HISTORY_SECONDS", 0.0, ""),
        ("MAX_HISTORY_FILES", 1, "only 1 versions of files"),
        ("MAX_CODE_BYTES", 20, "too long or missing"),
    ],
)
def test_every_bound_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, bound: str, value: float, told: str
) -> None:
    commit(folder, app_py=f"T = '{SLACK}'\n" + CODE, b_py="x = 1\n")
    monkeypatch.setattr(past, bound, value)
    assert any(told in each.what for each in report(folder).unresolved), bound


def test_a_shallow_clone_is_told(folder: Path, tmp_path: Path) -> None:
    commit(folder, app_py=CODE + "\n")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{folder}", "shallow")
    assert any("shallow" in each.what for each in report(tmp_path / "shallow").unresolved)


def test_no_repository_and_an_empty_one_are_passed(tmp_path: Path) -> None:
    (tmp_path / "casemate.toml").write_text(MANIFEST)
    assert report(tmp_path).unresolved == report(tmp_path, commits=0).unresolved
    git(tmp_path, "init", "-q")
    assert report(tmp_path).unresolved == report(tmp_path, commits=0).unresolved


HOSTILE = (
    "core.fsmonitor", "core.hooksPath", "core.pager", "core.editor", "core.sshCommand",
    "core.gitProxy", "core.askPass", "core.alternateRefsCommand", "diff.external",
    "diff.x.textconv", "diff.x.command", "filter.x.clean", "filter.x.smudge", "filter.x.process",
    "gpg.program", "gpg.ssh.program", "credential.helper", "uploadpack.packObjectsHook",
    "remote.origin.uploadpack", "remote.origin.vcs", "pager.log", "alias.diff-tree",
    "alias.cat-file", "merge.x.driver", "interactive.diffFilter", "sequence.editor",
)  # fmt: skip


def test_nothing_that_a_repository_names_is_run(folder: Path, tmp_path: Path) -> None:
    commit(folder, app_py=f"T = '{SLACK}'\n" + CODE)
    commit(folder, app_py=CODE)
    ran = tmp_path / "ran"
    program = tmp_path / "evil"
    program.write_text(f"#!/bin/sh\necho $0 $@ >> {ran}\ncat\n")
    program.chmod(0o755)
    (folder / ".gitattributes").write_text("* filter=x diff=x merge=x\n")
    (folder / ".git/info/attributes").write_text("* filter=x diff=x merge=x\n")
    for hook in ("post-checkout", "pre-auto-gc", "post-index-change", "reference-transaction"):
        (folder / ".git/hooks").mkdir(exist_ok=True)
        (folder / ".git/hooks" / hook).write_bytes(program.read_bytes())
        (folder / ".git/hooks" / hook).chmod(0o755)
    lines = []
    for key in HOSTILE:
        section, _, name = key.rpartition(".")
        head, _, part = section.partition(".")
        lines.append(f'[{head} "{part}"]' if part else f"[{head}]")
        lines.append(f"\t{name} = {'!' if head in ('alias',) else ''}{program}")
    lines += ["[log]\n\tshowSignature = true", "[diff]\n\torderFile = /dev/zero"]
    lines += ['[remote "origin"]\n\turl = ext::' + str(program), "\tpromisor = true"]
    lines += ["[protocol]\n\tallow = always", "[extensions]\n\tpartialClone = origin"]
    with (folder / ".git/config").open("a") as config:
        config.write("\n".join(lines) + "\n")
    [finding] = found(folder)
    assert finding.rule == "SEC-011"
    Past(Workspace(folder), since="HEAD").before(lambda name: True)
    assert not ran.exists(), ran.read_text()


def test_an_object_that_a_promise_stands_for_is_not_fetched(folder: Path, tmp_path: Path) -> None:
    commit(folder, app_py=f"T = '{SLACK}'\n" + CODE)
    gone = git(folder, "rev-parse", "HEAD:app.py")
    commit(folder, app_py=CODE)
    (folder / ".git/objects" / gone[:2] / gone[2:]).unlink()
    ran = tmp_path / "ran"
    git(folder, "config", "remote.origin.url", f"ext::touch {ran}")
    git(folder, "config", "remote.origin.promisor", "true")
    git(folder, "config", "core.repositoryFormatVersion", "1")
    git(folder, "config", "extensions.partialClone", "origin")
    git(folder, "config", "protocol.ext.allow", "always")
    told = report(folder)
    assert any("missing" in each.what for each in told.unresolved)
    assert not ran.exists()


def test_an_embedded_bare_repository_is_not_taken(tmp_path: Path) -> None:
    bare = tmp_path / "root"
    git(tmp_path, "init", "-q", "--bare", "root")
    (bare / "casemate.toml").write_text(MANIFEST)
    told = report(bare)
    assert any("bareRepository" in each.what for each in told.unresolved)


def test_alternates_that_never_end_are_ended(folder: Path, monkeypatch) -> None:
    commit(folder, app_py=CODE + "\n")
    pipe = folder / ".git/objects/info/alternates"
    pipe.parent.mkdir(exist_ok=True)
    os.mkfifo(pipe)
    monkeypatch.setattr(past, "MAX_HISTORY_SECONDS", 0.3)
    told = report(folder)
    assert any("did not answer within" in each.what for each in told.unresolved)


def test_submodules_links_and_odd_names_are_no_trouble(folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    commit(inner, a_py=NAMED.replace("kV9", "kV8"))
    odd = folder / "a\x1b[31m\n:100644 b.py"
    odd.write_text(f"T = '{SLACK}'\n")
    raw = os.fsencode(folder) + b"/\xff.py"
    with open(raw, "w") as file:
        file.write(NAMED)
    (folder / "link.py").symlink_to("/etc/passwd")
    git(folder, "add", "-A", ".")
    git(folder, "commit", "-qm", "x")
    odd.unlink()
    os.unlink(raw)
    git(folder, "add", "-A", ".")
    git(folder, "commit", "-qm", "y")
    told = report(folder)
    assert sorted(f.place.file for f in told.findings if f.rule == "SEC-011") == [
        "a\x1b[31m\n:100644 b.py",
        "\udcff.py",
    ]
    sarif_of(told)
    json_of(told)


def test_another_owner_is_refused_and_told(folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert any("dubious ownership" in each.what for each in report(folder).unresolved)


def test_answers_are_bounded(folder: Path) -> None:
    answer = ask(folder, "cat-file", "blob", "HEAD:app.py", most=5)
    assert (answer.data, answer.whole) == (CODE.encode()[:5], False)
    with pytest.raises(GitError, match="git reports"):
        ask(folder, "cat-file", "blob", "HEAD:nothing")
    with pytest.raises(GitError, match="did not answer within"):
        ask(folder, "cat-file", "--batch-check", given=b"HEAD\n" * 300_000, seconds=0.01)
    assert repository.SECONDS <= 60
