"""`casemate upgrade`: another version in place of the one that runs, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from casemate import __version__
from casemate.cli.commands.serve import default_data_folder
from casemate.cli.errors import UsageError
from casemate.cli.options import JsonOption, YesOption, command, new_app
from casemate.cli.prompts import confirm
from casemate.cli.terminal import GREEN, YELLOW, note, print_json, print_line, progress
from casemate.kernel.drafts import temporary_folder

if TYPE_CHECKING:
    from casemate.upgrade.release import Release
    from casemate.upgrade.upgrading import Undo
    from casemate.upgrade.versions import Versions

app = new_app()


ReleaseArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[RELEASE]",
        help="A folder of wheels with its signed release.json, or a tar archive of one.",
    ),
]
BackOption = Annotated[
    bool, typer.Option("--back", help="Go back to the version before the last upgrade.")
]
CheckOption = Annotated[
    bool, typer.Option("--check", help="Verify the release, say what it is, change nothing.")
]
KeyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        metavar="BASE64",
        help="Public key of whoever makes releases, instead of those that this version pins. Can "
        "be given several times; each must have signed.",
    ),
]
OlderOption = Annotated[
    str | None,
    typer.Option("--older", metavar="VERSION", help="Accept this release although it is older."),
]
DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="FOLDER", help="The node's data folder.")
]
MasterKeyOption = Annotated[
    str | None,
    typer.Option(
        "--master-key", metavar="SOURCE", help="Where the master key is, as for `casemate serve`."
    ),
]


@command(
    app,
    examples="""\
$ casemate upgrade --check casemate-1.4.0.tar --key BASE64
$ casemate upgrade casemate-1.4.0.tar --key BASE64
$ casemate upgrade --back
""",
)
def upgrade(
    release: ReleaseArgument = None,
    back: BackOption = False,
    only_check: CheckOption = False,
    key: KeyOption = None,
    older: OlderOption = None,
    data: DataOption = None,
    master_key: MasterKeyOption = None,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Replace this release by another signed one, or go back.

    No connection is refused meanwhile. Run it on the node's host, as the user that Casemate is
    installed by, logged in as somebody who may make backups. The command verifies the release's
    signatures and digests, installs it beside the present version, without network, and makes a
    backup. The new version tries all protections, updates a copy of the data and reads all of it.
    Until then nothing has changed. Then the node switches: running calls finish, and new
    connections wait meanwhile. Nodes that share their state are upgraded differently, one after the
    other.

    `--back` goes back at once if both versions store data in the same way. If the new one has
    changed the format, the backup is restored: stop the node first; what came since then is kept
    aside.
    """
    from casemate.folder.folders import default_master_key
    from casemate.upgrade.upgrading import require_alone
    from casemate.upgrade.versions import Versions

    folder = (data or default_data_folder()).absolute()
    versions = Versions()
    if back == (release is not None):
        raise UsageError(
            "Either a release is put in place, or one goes back.",
            next_step="Name a release, or give --back.",
        )
    if release is None:
        with versions.changing():
            _back(versions, yes=yes, json=json)
        return
    require_alone(folder)
    with temporary_folder("casemate-release-") as temporary:
        found = _verified(release, temporary, key)
        if only_check:
            _check(found, folder, older, json=json)
            return
        with versions.changing():
            source = master_key or default_master_key(folder)
            _upgrade(found, versions, folder, source, older, yes=yes, json=json)


def _verified(source: Path, target: Path, key: list[str] | None) -> Release:
    from casemate.upgrade.release import pinned_keys, read_release

    with progress("Verifying the release"):
        return read_release(source, target, key or pinned_keys())


def _check(release: Release, data: Path, older: str | None, *, json: bool) -> None:
    from casemate.upgrade.asking import ask
    from casemate.upgrade.schemas import own_schemas
    from casemate.upgrade.upgrading import require_possible

    running = ask(data)
    require_possible(release, running.version if running else __version__, older=older)
    alike = release.schemas == own_schemas()
    if json:
        told = {"version": release.version, "since": release.since, "files": release.files}
        print_json({**told, "running": running.version if running else None, "alike": alike})
        return
    print_line(f"Casemate {release.version}: {len(release.files)} wheels, signatures hold.", GREEN)
    kept = "as this one does" if alike else "in another way, which a copy is tried with first"
    print_line(f"It keeps data {kept}.")


def _upgrade(
    release: Release,
    versions: Versions,
    data: Path,
    master_key: str,
    older: str | None,
    *,
    yes: bool,
    json: bool,
) -> None:
    from casemate.upgrade.upgrading import go_on, require_possible, running_on
    from casemate.upgrade.upgrading import upgrade as run

    running = running_on(data)
    if running.version != __version__:
        if release.version != __version__:
            raise UsageError(
                f"The node runs {running.version}, and this is {__version__}.",
                next_step="Start the node again, so that it runs what is current.",
            )
        # An earlier run was ended between the switch and the hand-over.
        go_on(running, __version__, versions, data, note)
        _done({"version": __version__, "from": running.version}, json=json)
        return
    require_possible(release, running.version, older=older)
    confirm(f"Put {release.version} in the place of {running.version}, which runs?", yes=yes)
    backup = versions.backup_before(release.version)
    run(
        release,
        versions,
        data=data,
        master_key=master_key,
        backup=backup,
        back_up=_back_up,
        tell=note,
    )
    told = {"version": release.version, "from": running.version, "backup": str(backup)}
    _done(told, json=json)


def _back_up(file: Path) -> None:
    from casemate.cli.client import connect
    from casemate.cli.commands.backup import receive

    with connect() as client, progress(f"Backing up {client.url} ...") as shown:
        receive(client, file, shown, replace=True)


def _back(versions: Versions, *, yes: bool, json: bool) -> None:
    from casemate.upgrade.asking import ask
    from casemate.upgrade.upgrading import go_back, read_undo

    undo = read_undo(versions)
    confirm(_question(undo), yes=yes)
    aside = go_back(undo, versions, tell=note)
    told: dict[str, Any] = {"version": undo.version, "from": undo.to_version}
    if aside is not None:
        told["aside"] = str(aside)
        note(f"What the node kept until now is in {aside}.", YELLOW)
    running = ask(Path(undo.data))
    if running is not None and running.version == undo.version:
        _done(told, json=json)
        return
    note(f"Casemate {undo.version} is what starts from here on: start it again.", YELLOW)
    if json:
        print_json(told)


def _question(undo: Undo) -> str:
    if undo.schemas == undo.to_schemas:
        return f"Go back from {undo.to_version} to {undo.version}? Nothing is lost."
    from casemate.cli.text import moment

    return (
        f"Go back from {undo.to_version} to {undo.version}? {undo.data} is made again from the "
        f"backup of {moment(undo.at)}: what came since then is kept aside, and is not in it."
    )


def _done(told: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(told)
    else:
        print_line(f"Casemate {told['version']} is running, instead of {told['from']}.", GREEN)
