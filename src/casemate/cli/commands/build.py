"""`casemate build`: bundles without a node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from casemate.cli.building import Workspace, total_size
from casemate.cli.options import JsonOption, ManifestOption, command, new_app
from casemate.cli.terminal import DIM, note, print_json, print_table
from casemate.cli.text import size

app = new_app()


@command(app, examples="$ casemate build\n$ casemate build thumbnail --relock --json")
def build(
    functions: Annotated[
        list[str] | None,
        typer.Argument(metavar="FUNCTION", help="Functions to take; default: all."),
    ] = None,
    manifest: ManifestOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder for the bundles. Default: .casemate/bundles of the project."
        ),
    ] = None,
    relock: Annotated[
        bool, typer.Option("--relock", help="Resolve the dependencies again, to newer versions.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Build the project's functions into bundles.

    A bundle is a folder named by the digest of its content. Building the same input twice gives the
    same digest. Dependencies are locked with hashes, only wheels are installed, and none of their
    code is run.
    """
    workspace = Workspace(manifest, functions or ())
    bundles = list(workspace.build(out, relock=relock))
    if json:
        print_json(
            {
                "project": workspace.project.name,
                "bundles": [
                    {
                        "function": bundle.manifest.function.name,
                        "digest": bundle.digest,
                        "path": str(bundle.path),
                        "size": total_size(bundle),
                        "python": bundle.manifest.function.python,
                        "packages": bundle.manifest.packages,
                        "warnings": bundle.warnings,
                        "left_out": bundle.scripts,
                    }
                    for bundle in bundles
                ],
            }
        )
        return
    print_table(
        ("function", "digest", "size", "python", "packages"),
        [
            (
                bundle.manifest.function.name,
                bundle.digest,
                size(total_size(bundle)),
                bundle.manifest.function.python or "",
                ", ".join(f"{p.name} {p.version}" for p in bundle.manifest.packages) or "none",
            )
            for bundle in bundles
        ],
        empty="There is nothing to build.",
        below=("digest", "packages"),
    )
    if scripts := sorted({name for bundle in bundles for name in bundle.scripts}):
        note(f"Left out console scripts, which nothing can start: {', '.join(scripts)}.", DIM)
