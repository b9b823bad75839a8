"""`casemate service`: a node as a service of systemd."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from casemate.cli.errors import CommandError, UsageError
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import DIM, GREEN, note, print_json, print_line, print_text
from casemate.upgrade.versions import CURRENT, Versions

app = new_app("Run a node as a systemd service.")

_SYSTEM = ("etc", "systemd", "system")
_USER = ("systemd", "user")
_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - to refuse what is there
DatabasesOption = Annotated[
    bool,
    typer.Option(
        "--databases",
        help="With --shared: other databases of projects, too, from "
        "/etc/casemate/databases.toml, as a credential of systemd.",
    ),
]


@command(
    app,
    examples="""\
$ casemate service install --print
$ casemate service install --data /srv/casemate -- --port 443 --tls-name node.example.org
$ casemate service install --shared -- --host 0.0.0.0 --encrypted-disks
$ casemate service install --shared --databases -- --host 0.0.0.0 --encrypted-disks
$ casemate service install --user
""",
)
def install(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- OPTION]", help="Options of `casemate serve`, after `--`."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FOLDER", help="The node's data folder.")
    ] = None,
    user: Annotated[
        bool, typer.Option("--user", help="A service of your user, not of the system.")
    ] = False,
    shared: Annotated[
        bool,
        typer.Option(
            "--shared",
            help="One of many nodes: the master key from /etc/casemate/master-key and the "
            "database's URL from /etc/casemate/store-url, as credentials of systemd; "
            "CASEMATE_OBJECTS and its keys from /etc/casemate/objects.env.",
        ),
    ] = False,
    databases: DatabasesOption = False,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the unit and write nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a unit that was changed by hand.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write the systemd unit of a node.

    The unit is hardened as far as the sandbox allows, watched by systemd's watchdog, and restarted
    when it ends. A unit that somebody changed is not replaced without --force, and nothing is
    written through a symbolic link. Data and files below /tmp are refused: they are not kept, and
    the service has a /tmp of its own. Nothing is started: the commands for that are printed.
    """
    from casemate.cli.systemd_unit import SERVICE, is_unchanged, unit_text
    from casemate.cli.unit_file import require_safe_program, write_unit

    given = list(arguments or ())
    _require_serve_options(given)
    if shared:
        _require_shared(given, user=user)
    elif databases:
        raise _alone()
    folder = data.absolute() if data is not None else None
    _require_lasting(folder, given)
    program = _program()
    text = unit_text(program, given, user=user, data=folder, shared=shared, databases=databases)
    if only_print:
        print_text(text.rstrip("\n"))
        return
    if not user and os.geteuid() == 0:
        require_safe_program(program)
    base, below = (_config_home(), _USER) if user else (Path("/"), _SYSTEM)
    changed = write_unit(
        base, below, SERVICE, text, may_replace=lambda found: force or is_unchanged(found)
    )
    path = base.joinpath(*below, SERVICE)
    if json:
        print_json({"file": str(path), "changed": changed})
        return
    if changed:
        print_line(f"{path} is written.", GREEN)
    else:
        print_line(f"{path} is as it should be.", DIM)
    _note_next(user=user, shared=shared, databases=databases)


def _note_next(*, user: bool, shared: bool, databases: bool) -> None:
    manager = "systemctl --user" if user else "systemctl"
    note(f"Next: {manager} daemon-reload && {manager} enable --now casemate")
    if user:
        note("It ends when you log out, unless `loginctl enable-linger` was run once.")
    journal = "journalctl --user -u casemate" if user else "journalctl -u casemate"
    if shared:
        _note_files(databases=databases)
    note(f"The owner's token is shown once, in its journal: {journal}")


def _alone() -> UsageError:
    return UsageError(
        "--databases is given without --shared: there are others only beside that of --store.",
        next_step="Give --shared as well.",
    )


def _require_serve_options(arguments: list[str]) -> None:
    """Have `serve` read its options now, not in a service that does not start."""
    from casemate.cli.commands import serve

    if "--data" in arguments or any(one.startswith("--data=") for one in arguments):
        raise UsageError("--data is given behind `--`.", next_step="Give it before.")
    command = typer.main.get_command(serve.app)
    command.make_context("serve", list(arguments))


def _require_lasting(folder: Path | None, arguments: list[str]) -> None:
    """Refuse what is below /tmp: it is lost, and a service of the system has a /tmp of its own."""
    named = [one.partition("=")[2] or one for one in arguments]
    files = [one.removeprefix("file:") for one in named]
    for path in filter(None, (folder, *map(Path, files))):
        real = path.resolve()
        if path.is_absolute() and any(real.is_relative_to(one) for one in _TEMPORARY):
            raise UsageError(
                f"{path} is below {real.parents[-2]}, which the host empties, and of which the "
                "service has one of its own (PrivateTmp): it would not find what is there.",
                next_step="Choose a folder that stays, such as /srv/casemate.",
            )


def _note_files(*, databases: bool) -> None:
    note("Files that it reads, each `chmod 600` and of root:")
    note("  /etc/casemate/master-key   the same on all nodes: head -c 32 /dev/urandom | base64")
    note("  /etc/casemate/store-url    postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    note("  /etc/casemate/objects.env  CASEMATE_OBJECTS, and AWS's two keys")
    if databases:
        note('  /etc/casemate/databases.toml  lines NAME = "postgresql://...", the same on all')


def _require_shared(arguments: list[str], *, user: bool) -> None:
    """Refuse what --shared says already, or what takes root. Raises UsageError."""
    if user:
        raise UsageError(
            "--shared reads files of root below /etc/casemate; --user has no rights to them.",
            next_step="Leave out --user.",
        )
    for option in ("--master-key", "--store", "--objects", "--databases"):
        if any(one == option or one.startswith(f"{option}=") for one in arguments):
            what = f"Leave out {option}, or --shared."
            raise UsageError(
                f"{option} is given behind `--`, and --shared says where that is.",
                next_step="Give --databases before `--`." if option == "--databases" else what,
            )


def _program() -> Path:
    """Return the command's own file, beside the interpreter that runs it."""
    program = Path(sys.executable).absolute().with_name("casemate")
    versions = Versions()
    if versions.inside:
        # The service starts what is current at the time, which may be another one by then.
        program = versions.folder / CURRENT / "bin/casemate"
    if not os.access(program, os.X_OK):
        raise CommandError(
            f"There is no program {program}.",
            next_step="Install Casemate into an environment: `uv tool install`.",
        )
    return program


def _config_home() -> Path:
    found = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    if not found.is_absolute() or not found.is_dir():
        raise CommandError(
            f"{found} is not a folder.", next_step="Make it, or set XDG_CONFIG_HOME to one."
        )
    return found
