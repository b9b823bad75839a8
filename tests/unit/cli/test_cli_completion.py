"""Completion in the shells themselves, those that are installed."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from test_cli_operate import shop

from casemate.cli.completion_scripts import SHELLS, script
from casemate.cli.completion_table import Kind, table
from casemate.cli.main import ENTRIES, app

__all__ = ["shop"]
Complete = Callable[..., list[str]]
_CASES = (
    ("casemate secr", ["secrets"]),
    (
        "casemate secrets ",
        [
            *("import", "ls", "no-rotation", "revert", "rm", "rotate"),
            *("rotation", "rotations", "set"),
        ],
    ),
    ("casemate secrets set --v", ["--vault-key"]),
    ("casemate logs --level er", ["error"]),
    ("casemate completion ", ["bash", "fish", "zsh"]),
    ("casemate logs --limit 5 --fo", ["--follow"]),
    ("casemate secrets import shop fi", ["file one.env"]),
    ("casemate no-such-command ", None),
)


@pytest.fixture(scope="module")
def commands():
    return table(app)


def _environ(folder: Path) -> dict[str, str]:
    """An environment in which `casemate` prints functions, and notes that it was asked."""
    fake = folder / "bin" / "casemate"
    if not fake.exists():
        fake.parent.mkdir()
        fake.write_text(
            '#!/bin/sh\necho "$*" >> "$HOME/asked"\nprintf \'%s\\n\' cart shop/cart shop/checkout\n'
        )
        fake.chmod(0o755)
        (folder / "file one.env").touch()
    path = f"{fake.parent}:/usr/local/bin:/usr/bin:/bin"
    return {"HOME": str(folder), "PATH": path, "TERM": "dumb", "LC_ALL": "C.UTF-8"}


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, env=_environ(folder), cwd=folder, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert not done.stderr, done.stderr.decode()
    return done.stdout.decode()


def _in_bash(folder: Path, line: str) -> list[str]:
    """Complete as readline would: the words are split at spaces, `=` is one of its own."""
    words = re.findall(r"=|[^ =]+", line) + ([""] if line.endswith(" ") else [])
    quoted = " ".join(f"'{word}'" for word in words)
    program = (
        f"source ./script; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _casemate\n"
        "printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    return _run(folder, "bash", "--norc", "--noprofile", "-c", program).splitlines()


def _in_fish(folder: Path, line: str) -> list[str]:
    program = f"source ./script; complete -C '{line}'"
    found = _run(folder, "fish", "--no-config", "-c", program).splitlines()
    return [text.split("\t")[0].replace("\\ ", " ") for text in found]


def _in_zsh(folder: Path, line: str) -> list[str]:
    """Type the line and a tab in an interactive zsh, whose proposals are caught."""
    setup = (
        "PS1='READY> '; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D\n"
        "source ./script\n"
        'compadd() { local -a found; builtin compadd -O found "$@"\n'
        "  print -rl -- $found >>./found }\n"
        "setopt no_list_beep no_auto_menu\n"
    )
    (folder / ".zshrc").write_text(setup)
    (folder / "found").write_text("")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        ["zsh", "-i"], stdin=slave, stdout=slave, stderr=slave, env=_environ(folder), cwd=folder,
        start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    try:
        output = b""
        while b"READY> " not in output:
            output += os.read(master, 4096)
        os.write(master, line.encode() + b"\t")
        end = time.monotonic() + 2
        while time.monotonic() < end and not (folder / "found").read_text():
            time.sleep(0.05)
        time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
        os.close(master)
    return [found for found in (folder / "found").read_text().splitlines() if found]


_IN: dict[str, Complete] = {"bash": _in_bash, "fish": _in_fish, "zsh": _in_zsh}


@pytest.fixture(params=SHELLS)
def shell(request, tmp_path: Path, commands) -> tuple[Complete, Path]:
    if shutil.which(request.param) is None:
        pytest.skip(f"there is no {request.param} here")
    (tmp_path / "script").write_text(script(request.param, commands))
    return _IN[request.param], tmp_path


@pytest.mark.parametrize(("line", "expected"), _CASES)
def test_what_is_proposed(shell, line: str, expected: list[str] | None) -> None:
    complete, folder = shell
    found = sorted(set(complete(folder, line)) - {""})
    if expected is None:
        assert not {"secrets", "logs", "--help"} & set(found)
        return
    if complete is _in_zsh and expected == ["file one.env"]:
        assert found[:1] == ["file one.env"] or "file" in " ".join(found)
        return
    assert found == expected
    assert not (folder / "asked").exists(), "no process is started for what stands in the script"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_a_tab_in_bash(tmp_path: Path, commands) -> None:
    (tmp_path / "script").write_text(script("bash", commands))
    (tmp_path / ".inputrc").write_text("set enable-bracketed-paste off\n")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"], stdin=slave, stdout=slave, stderr=slave,
        env={**_environ(tmp_path), "PS1": "READY> "}, cwd=tmp_path, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    output = b""

    def read_until(text: bytes) -> None:
        nonlocal output
        while text not in output:
            output += os.read(master, 4096)

    try:
        read_until(b"READY> ")
        os.write(master, b"source ./script; echo LOADED$((1+1))\n")
        read_until(b"LOADED2")
        os.write(master, b"casemate secr\timp\tshop fi\t")
        read_until(b"casemate secrets import shop file\\ one.env")
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_functions_are_asked_for(shell) -> None:
    complete, folder = shell
    assert sorted(complete(folder, "casemate logs shop/c")) == ["shop/cart", "shop/checkout"]
    assert "completion --functions" in (folder / "asked").read_text()


def test_nothing_that_is_typed_is_evaluated(shell) -> None:
    complete, folder = shell
    if complete is _in_fish:
        line = "casemate secrets (touch pwned)"
    elif complete is _in_zsh:
        line = "casemate secrets \\$(touch pwned) "
    else:
        line = "casemate $(touch${IFS}pwned) `touch${IFS}pwned` "
    complete(folder, line)
    assert not (folder / "pwned").exists()


def test_every_command_is_in_every_script(commands) -> None:
    paths = {command.path for command in commands}
    assert {entry.name for entry in ENTRIES} <= paths
    for name in SHELLS:
        text = script(name, commands)
        assert all(path in text for path in paths)


def test_values_are_of_the_right_kind(commands) -> None:
    found = {command.path: command for command in commands}
    options = {name: o.value for o in found["logs"].options for name in o.names}
    assert options["--follow"] is None
    assert options["--level"].choices == ("debug", "info", "warning", "error", "critical")
    assert found["logs"].arguments[0].kind is Kind.FUNCTION
    assert found["secrets import"].arguments[1].kind is Kind.FILE
    assert "--functions" not in {n for o in found["completion"].options for n in o.names}


def test_functions_of_the_node_and_of_the_project_here(cli, shop, home) -> None:
    (home / "casemate.toml").write_text('[project]\nname = "shop"\n')
    lines = cli("completion", "--functions").out.splitlines()
    assert "shop/cart" in lines and "cart" in lines
    (home / "casemate.toml").unlink()
    assert "cart" not in cli("completion", "--functions").out.splitlines()


def test_names_that_a_shell_could_mistake_are_left_out(cli, shop) -> None:
    key, function = next(iter(shop.control.deployed.items()))
    shop.control.deployed["a", "b"] = replace(function, name="$(touch pwned)")
    assert cli("completion", "--functions").out == "/".join(key) + "\n"


def test_a_node_that_does_not_answer_costs_nothing_but_time(cli, monkeypatch) -> None:
    monkeypatch.setenv("CASEMATE_URL", "http://127.0.0.1:1")
    result = cli("completion", "--functions")
    assert (result.code, result.out, result.err) == (0, "", "")
    monkeypatch.setenv("CASEMATE_URL", "no address")
    assert cli("completion", "--functions").out == ""


def test_a_shell_has_to_be_named(cli) -> None:
    assert cli("completion").code == 2
    assert cli("completion", "ksh").code == 2
    assert cli("completion", "bash").out.startswith("# Completion of casemate for bash")


@pytest.mark.alone
def test_it_takes_no_longer_than_a_person_notices(tmp_path: Path, commands) -> None:
    (tmp_path / "script").write_text(script("bash", commands))
    _environ(tmp_path)
    begun = time.perf_counter()
    assert _in_bash(tmp_path, "casemate secr") == ["secrets"]
    assert time.perf_counter() - begun < 0.15
