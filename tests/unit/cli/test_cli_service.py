"""The systemd unit is right, and is written over nobody else's and through no link."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from casemate.cli.commands import service
from casemate.cli.errors import CommandError, UsageError
from casemate.cli.systemd_unit import SERVICE, is_unchanged, unit_text
from casemate.cli.unit_file import require_safe_program, write_unit

PROGRAM = Path("/opt/casemate/bin/casemate")
BELOW = ("systemd", "user")


@pytest.fixture
def config(home: Path) -> Path:
    path = home / "config"
    path.mkdir()
    return path


def install(cli, *arguments: str):
    return cli("service", "install", "--user", *arguments)


def unit_of(config: Path) -> Path:
    return config.joinpath(*BELOW, SERVICE)


def test_of_a_user_it_is_written_once_and_told_what_is_next(cli, config) -> None:
    result = install(cli, "--json")
    assert json.loads(result.out) == {"file": str(unit_of(config)), "changed": True}
    text = unit_of(config).read_text()
    assert is_unchanged(text) and "Delegate=cpu memory pids" in text
    assert unit_of(config).stat().st_mode & 0o777 == 0o644
    again = install(cli)
    assert again.code == 0 and "as it should be" in again.out
    assert "systemctl --user daemon-reload" in again.err
    assert [path.name for path in unit_of(config).parent.iterdir()] == [SERVICE]


@pytest.mark.parametrize(
    "options",
    [
        ("--data", "/tmp/node"),
        ("--data", "/var/tmp/node"),
        ("--data", "/srv/../tmp/node"),
        ("--", "--config", "/tmp/node.toml"),
        ("--", "--tls-cert=/tmp/cert.pem", "--tls-key=/srv/key.pem"),
        ("--", "--master-key", "file:/tmp/key"),
    ],
)
@pytest.mark.parametrize("user", [("--user",), ()])
def test_nothing_is_kept_below_tmp(cli, config, options, user) -> None:
    refused = cli("service", "install", *user, "--print", *options)
    assert refused.code == 2 and refused.out == ""
    said = " ".join(refused.err.split())
    assert "which the host empties" in said and "PrivateTmp" in said
    assert cli("service", "install", *user, "--print", "--data", "/srv/tmp").code == 0


def test_one_that_was_written_here_is_replaced_and_a_changed_one_only_by_force(cli, config) -> None:
    install(cli)
    assert install(cli, "--", "--port", "9000").code == 0
    assert "--port 9000" in unit_of(config).read_text()
    changed = unit_of(config).read_text().replace("RestartSec=1", "RestartSec=9")
    unit_of(config).write_text(changed)
    refused = install(cli)
    assert refused.code == 1 and "--force" in refused.err
    assert unit_of(config).read_text() == changed
    unit_of(config).write_text("[Service]\nExecStart=/bin/true\n")
    assert install(cli).code == 1
    assert install(cli, "--force").code == 0
    assert is_unchanged(unit_of(config).read_text())


def test_print_writes_nothing(cli, config) -> None:
    result = cli("service", "install", "--print", "--data", "/srv/casemate")
    assert result.code == 0 and is_unchanged(result.out)
    assert list(config.iterdir()) == []


@pytest.mark.parametrize("link", ["systemd", "systemd/user", f"systemd/user/{SERVICE}"])
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_nothing_is_written_through_a_link(cli, config, tmp_path, link, force) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (config / link).parent.mkdir(parents=True, exist_ok=True)
    (config / link).symlink_to(outside if not link.endswith(".service") else outside / "file")
    result = install(cli, *force)
    assert result.code == 1 and "symbolic link" in result.err
    assert list(outside.iterdir()) == []
    assert (config / link).is_symlink()


def test_what_is_no_file_is_not_replaced(cli, config) -> None:
    unit_of(config).parent.mkdir(parents=True)
    os.mkfifo(unit_of(config))
    result = install(cli, "--force")
    assert result.code == 1 and "is no file" in result.err


def test_a_failure_leaves_the_old_unit(config, monkeypatch) -> None:
    write_unit(config, BELOW, SERVICE, "old\n", may_replace=lambda _: True)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(CommandError, match="No space left"):
        write_unit(config, BELOW, SERVICE, "new\n", may_replace=lambda _: True)
    assert unit_of(config).read_text() == "old\n"
    assert [path.name for path in unit_of(config).parent.iterdir()] == [SERVICE]


def test_options_of_serve_are_read_now(cli, config) -> None:
    assert install(cli, "--", "--prt", "80").code == 2
    assert install(cli, "--", "--port", "x").code == 2
    assert install(cli, "--", "--data", "/x").code == 2
    assert not unit_of(config).exists()


@pytest.mark.parametrize("data", ["/srv/a\nExecStartPre=/bin/sh", "/srv/\x1b", "/srv/\u2028"])
def test_nothing_but_a_word_gets_into_the_command(data) -> None:
    with pytest.raises(UsageError):
        unit_text(PROGRAM, [], user=False, data=Path(data))
    with pytest.raises(UsageError):
        unit_text(PROGRAM, ["--tls-name", data], user=True, data=None)


def test_specifiers_variables_and_quotes_are_words() -> None:
    text = unit_text(PROGRAM, ["--x", 'a b%h$HOME"\\'], user=True, data=None)
    assert 'ExecStart=/opt/casemate/bin/casemate serve --x "a b%%h$$HOME\\"\\\\"\n' in text


@pytest.mark.parametrize("directive", [
    "PrivateDevices", "ProtectControlGroups", "ProtectKernelTunables", "ProtectProc",
    "RestrictNamespaces", "PrivateUsers", "ProtectHostname", "SystemCallFilter", "StateDirectory=",
])  # fmt: skip
def test_what_would_take_the_sandbox_away_is_not_in_it(directive) -> None:
    assert directive not in unit_text(PROGRAM, [], user=False, data=None)


def test_of_the_system_it_is_hardened_and_watched() -> None:
    text = unit_text(PROGRAM, [], user=False, data=None)
    for line in ("WatchdogSec=60", "Type=notify", "ProtectSystem=strict", "PrivateTmp=yes"):
        assert f"\n{line}\n" in text
    assert "ReadWritePaths=/etc/casemate /var/lib/casemate\n" in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize(("user", "shared"), [(False, False), (True, False), (False, True)])
def test_systemd_understands_it(tmp_path: Path, user, shared) -> None:
    program = tmp_path / "pro gram"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    path = tmp_path / SERVICE
    data = tmp_path / "my data"
    text = unit_text(
        program, ["--tls-name", "a%b"], user=user, data=data, shared=shared, databases=shared
    )
    path.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *(("--user",) if user else ()), str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert SERVICE not in done.stderr, done.stderr
    assert "Unknown" not in done.stderr and "Invalid" not in done.stderr, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="asks for files of root")
def test_root_runs_no_program_that_others_can_change(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "casemate"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o777)
    with pytest.raises(CommandError, match="would be root"):
        require_safe_program(program)
    program.chmod(0o755)
    os.chown(program, 1000, 1000)
    with pytest.raises(CommandError, match="uid 1000"):
        require_safe_program(program)
    os.chown(program, 0, 0)
    program.parent.chmod(0o777)
    with pytest.raises(CommandError):
        require_safe_program(program)
    program.parent.chmod(0o755)
    link = tmp_path / "link"
    os.chown(program, 1000, 1000)
    link.symlink_to(program)
    with pytest.raises(CommandError, match="uid 1000"):
        require_safe_program(link)
    require_safe_program(Path("/usr/bin/env"))


def test_an_environment_without_the_program(cli, config, monkeypatch) -> None:
    monkeypatch.setattr(service.sys, "executable", "/nowhere/python")
    assert install(cli).code == 1


def test_one_of_many_gets_its_secrets_as_credentials(cli, config) -> None:
    shown = cli("service", "install", "--print", "--shared", "--", "--encrypted-disks")
    assert shown.code == 0 and is_unchanged(shown.out)
    [command] = [line for line in shown.out.splitlines() if line.startswith("ExecStart=")]
    assert command.endswith(
        " serve --encrypted-disks --master-key file:${CREDENTIALS_DIRECTORY}/master-key"
        " --store file:${CREDENTIALS_DIRECTORY}/store-url"
    )
    for line in (
        "LoadCredential=master-key:/etc/casemate/master-key",
        "LoadCredential=store-url:/etc/casemate/store-url",
        "EnvironmentFile=/etc/casemate/objects.env",
    ):
        assert f"\n{line}\n" in shown.out
    # Its own options are such as the node takes.
    serve(command.partition(" serve ")[2].split())


def test_other_databases_are_a_credential_as_well(cli, config) -> None:
    given = ("--shared", "--databases", "--", "--encrypted-disks")
    shown = cli("service", "install", "--print", *given)
    assert shown.code == 0 and is_unchanged(shown.out)
    [command] = [line for line in shown.out.splitlines() if line.startswith("ExecStart=")]
    assert command.endswith(" --databases ${CREDENTIALS_DIRECTORY}/databases.toml")
    assert "\nLoadCredential=databases.toml:/etc/casemate/databases.toml\n" in shown.out
    serve(command.partition(" serve ")[2].split())
    refused = cli("service", "install", "--print", "--databases")
    assert refused.code == 2 and "without --shared" in refused.err


@pytest.mark.parametrize("option", ["--store", "--objects", "--master-key", "--databases"])
@pytest.mark.parametrize("form", [("{}", "x"), ("{}=x",)])
def test_what_shared_says_is_not_said_twice(cli, config, option, form) -> None:
    given = [word.format(option) for word in form]
    refused = cli("service", "install", "--print", "--shared", "--", *given)
    assert refused.code == 2 and option in refused.err


def test_a_user_has_no_rights_to_what_nodes_share(cli, config) -> None:
    refused = install(cli, "--shared")
    assert refused.code == 2 and "--user" in refused.err
    assert not unit_of(config).exists()


def serve(words: list[str]) -> None:
    service._require_serve_options(words)
