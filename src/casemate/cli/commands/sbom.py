"""`casemate sbom`: what a bundle is made of, for people who keep lists of that."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from casemate.cli.building import Workspace
from casemate.cli.bundle_path import opened_bundle
from casemate.cli.client import connect
from casemate.cli.errors import CommandError, UsageError
from casemate.cli.evidence import evidence_of
from casemate.cli.names import resolve
from casemate.cli.options import ManifestOption, command, new_app
from casemate.cli.terminal import note, print_json_text
from casemate.kernel.placing import write_whole
from casemate.operations.functions import ShowSbom

app = new_app()


@command(
    app,
    examples="$ casemate sbom thumbnail\n"
    "$ casemate sbom --out sboms\n"
    "$ casemate sbom shop/thumbnail --deployed\n"
    "$ casemate sbom --node\n"
    "$ casemate sbom --bundle .casemate/bundles/DIGEST",
)
def sbom(
    functions: Annotated[
        list[str] | None,
        typer.Argument(metavar="FUNCTION", help="Functions to take; default: all."),
    ] = None,
    manifest: ManifestOption = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            metavar="PATH",
            help="For an existing bundle: its folder, or its archive, named by its digest.",
        ),
    ] = None,
    deployed: Annotated[
        bool, typer.Option("--deployed", help="For what is live on the node, instead of a build.")
    ] = False,
    node: Annotated[
        bool,
        typer.Option(
            "--node", help="For the Casemate that is installed here: packages and C libraries."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Write FUNCTION.cdx.json files there."),
    ] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="Include what the node has seen of packages while they ran."),
    ] = False,
) -> None:
    """Print what a bundle is made of, as CycloneDX.

    The output is CycloneDX 1.6 in JSON. Functions are built as `casemate build` does, unless
    --bundle names a bundle, or --deployed asks the node for what is live there. Packages have their
    package URL, hash, licence and dependencies. The same bundle gives the same bytes.

    --node prints the same of Casemate itself as it is installed here, with the C libraries that its
    packages bring, such as SQLite and OpenSSL. Run it on the node's host.

    With --live, the evidence has package files that the node has seen loaded: when the handler was
    imported, and by one call in sixteen.
    """
    if sum((bundle is not None, deployed, node)) > 1:
        raise UsageError("Only one of --bundle, --deployed and --node can be given.")
    if (bundle is not None or node) and (functions or manifest is not None):
        raise UsageError("--bundle and --node take no FUNCTION and no --manifest.")
    if live and (bundle is not None or deployed or node):
        raise UsageError("--live goes with a build: not with --bundle, --deployed or --node.")
    if bundle is not None:
        found = [_of_bundle(bundle)]
    elif node:
        found = [("casemate", _of_node())]
    elif deployed:
        found = _of_deployed(functions or [], several=out is not None)
    else:
        found = _of_functions(functions or [], manifest, several=out is not None, live=live)
    for name, document in found:
        if out is None:
            print_json_text(document.decode())
        else:
            _write(out / f"{name}.cdx.json", document)


def _of_functions(
    names: list[str], manifest: Path | None, *, several: bool, live: bool
) -> list[tuple[str, bytes]]:
    from casemate.sbom import sbom as sbom_of
    from casemate.sbom import with_evidence

    workspace = Workspace(manifest, names)
    if len(workspace.chosen) != 1 and not several:
        known = ", ".join(spec.name for spec in workspace.chosen)
        raise UsageError(
            f"There are several functions: {known}.",
            next_step="Name one, or a folder for all with --out.",
        )
    found = []
    for built in workspace.build(None, relock=False):
        document = sbom_of(built.path, built.manifest)
        seen = None
        if live:
            seen = evidence_of(workspace.name_of(built.manifest.function), built.digest)
        name = built.manifest.function.name
        found.append((name, document if seen is None else with_evidence(document, seen)))
    return found


def _of_node() -> bytes:
    from casemate.maintenance.own_sbom import own_sbom

    return own_sbom()


def _of_deployed(names: list[str], *, several: bool) -> list[tuple[str, bytes]]:
    """Ask the node for the SBOMs of functions that are live there."""
    if not names or (len(names) > 1 and not several):
        raise UsageError(
            "--deployed takes one FUNCTION, or several with --out.",
            next_step="Such as: casemate sbom shop/cart --deployed",
        )
    found = []
    with connect() as client:
        for text in names:
            name = resolve(text)
            response = client.request(ShowSbom(project=name.project, function=name.function))
            if not response.is_success:
                raise client.failure(response)
            found.append((name.function, response.content))
    return found


def _of_bundle(path: Path) -> tuple[str, bytes]:
    from casemate.sbom import sbom as sbom_of

    with opened_bundle(path) as (folder, read):
        return read.function.name, sbom_of(folder, read)


def _write(path: Path, document: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, document)
    except OSError as error:
        raise CommandError(
            f"{path} cannot be written: {error.strerror}.",
            next_step="Give another folder with --out, or make room there.",
        ) from error
    note(f"Wrote {path}")
