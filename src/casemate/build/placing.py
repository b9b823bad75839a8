"""Lays out what uv is given, as it is in the project."""

from __future__ import annotations

from pathlib import Path

from casemate.build.errors import RequirementsFileError
from casemate.build.limits import MAX_BUNDLE_BYTES, MAX_SOURCE_FILES
from casemate.build.tree import normalise_modes


def place_inputs(
    files: dict[str, str], vendored: tuple[str, ...], project_root: Path, given: Path
) -> None:
    """Lay out files and vendored wheels in the new folder `given` as they are in the project."""
    given.mkdir()
    for name, text in files.items():
        target = given / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    for folder in vendored:
        target = given / folder
        target.mkdir(parents=True, exist_ok=True)
        _copy_wheels(project_root / folder, target)
    normalise_modes(given)


def _copy_wheels(source: Path, target: Path) -> None:
    """Copy the distributions of a vendored folder; source archives too, to be named in errors."""
    names = sorted(path.name for path in source.iterdir())
    if len(names) > MAX_SOURCE_FILES:
        raise RequirementsFileError(f"{source.name} holds more than {MAX_SOURCE_FILES} files.")
    left = MAX_BUNDLE_BYTES
    for name in names:
        found = source / name
        if not name.endswith((".whl", ".tar.gz", ".zip")) or found.is_symlink():
            continue
        if not found.is_file():
            continue
        try:
            with (source / name).open("rb") as read, (target / name).open("wb") as write:
                while left >= 0 and (chunk := read.read(1 << 20)):
                    left -= write.write(chunk)
        except OSError as error:
            raise RequirementsFileError(f"The vendored {name} cannot be read.") from error
        if left < 0:
            raise RequirementsFileError(
                f"{source.name} holds more than {MAX_BUNDLE_BYTES // 1024 // 1024} MiB."
            )
