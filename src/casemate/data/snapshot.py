"""Copies for backups: each project as it was at one moment, still encrypted, while calls go on."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from casemate.data.faults import DATA, disk_error
from casemate.data.folder import OBJECTS, DataFolder
from casemate.data.projects import Projects
from casemate.data.sqlite_project import SqliteProject
from casemate.kernel.durability import sync_file
from casemate.sqlite import engine
from casemate.sqlite.copying import copy_pages


async def snapshot(projects: Projects[SqliteProject], folder: DataFolder, target: Path) -> None:
    """Copy the data of every project into the folder `target`, which has none yet.

    Leaves there what the data folder has: `<project>@<version>.db`, and files of objects below
    `objects/<project>/`, as links where the file system is the same. Raises DataError.
    """
    try:
        (target / OBJECTS).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(f"{target} cannot be made", error) from error
    for name in folder.projects():
        async with projects.use(name) as project, project.maintenance:
            # Deleting waits: what the copy names is there until it is linked.
            project.files.hold()
            try:
                await projects.content_in_thread(lambda project=project: _copy(project, target))  # type: ignore[misc]
            finally:
                project.files.release()


def _copy(project: SqliteProject, target: Path) -> None:
    copy = target / project.path.name
    objects = target / OBJECTS / project.name
    try:
        copy.touch(mode=0o600, exist_ok=False)
        objects.mkdir(mode=0o700)
        with DATA.translated():
            with closing(project.connections.open_copy_source()) as source:
                copy_pages(source, copy, project.page_key)
            with closing(engine.connect(copy, project.page_key)) as made:
                files = made.execute(
                    "SELECT file, size FROM object WHERE file IS NOT NULL ORDER BY file"
                ).fetchall()
        sync_file(copy)
        for file, size in files:
            project.files.copy(file, size, objects / file)
    except OSError as error:
        raise disk_error(f"A copy in {target} cannot be written", error) from error
