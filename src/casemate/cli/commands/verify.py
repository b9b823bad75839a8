"""`casemate verify`: does what is live, or a bundle, come from this source, by whose word?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
import typer

from casemate.cli.building import Workspace
from casemate.cli.bundle_path import opened_bundle
from casemate.cli.client import NodeClient, connect
from casemate.cli.deployed import live_version
from casemate.cli.errors import CommandError, MissingError, UsageError
from casemate.cli.names import FunctionName, find_manifest
from casemate.cli.options import JsonOption, ManifestOption, command, new_app
from casemate.cli.terminal import GREEN, RED, print_json, print_line
from casemate.kernel.drafts import temporary_folder
from casemate.model.errors import CasemateError
from casemate.operations.functions import ShowFunction
from casemate.operations.signing import Attestations, ShowAttestations, ShowSigningRule

if TYPE_CHECKING:
    from casemate.build.bundle import BuiltBundle
    from casemate.signing import Vouched

app = new_app()


SigstoreOption = Annotated[
    Path | None,
    typer.Option(
        "--sigstore", metavar="FILE", help="A Sigstore bundle about the bundle at that path."
    ),
]
SignerOption = Annotated[
    str | None,
    typer.Option(
        "--signer", metavar="WHO", help="Who must have signed: GitHub:owner/repository:build.yml"
    ),
]
TrustedRootOption = Annotated[
    Path | None,
    typer.Option(
        "--trusted-root",
        metavar="FILE",
        help="Keys to use instead of those of the public Sigstore.",
    ),
]


class Check(NamedTuple):
    """One thing that was looked at."""

    what: str
    holds: bool
    detail: str


@command(
    app,
    examples="$ casemate verify thumbnail\n"
    "$ casemate verify thumbnail --version 3 --json\n"
    "$ casemate verify .casemate/bundles/DIGEST\n"
    "$ casemate verify DIGEST.tar.gz --sigstore DIGEST.sigstore.json \\\n"
    "    --signer GitHub:owner/repository:build.yml",
)
def verify(
    what: Annotated[
        str, typer.Argument(metavar="FUNCTION|BUNDLE", help="A function, or a bundle's path.")
    ],
    manifest: ManifestOption = None,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="The version. Default: the live one.")
    ] = None,
    sigstore: SigstoreOption = None,
    signer: SignerOption = None,
    trusted_root: TrustedRootOption = None,
    json: JsonOption = False,
) -> None:
    """Check signatures, SBOM and digests, rebuild the source, and compare.

    Builds are reproducible: the same source and lock, with the same patch version of Python, give
    the same digest in any folder, at any time, for anybody. For a bundle's path, the files are
    compared with its manifest. With `--sigstore`, what somebody signed about its digest, or about
    the archive, is verified without a network. The exit code is 1 if any check fails.
    """
    if (sigstore is None) != (signer is None) or (trusted_root is not None and sigstore is None):
        raise UsageError("--sigstore goes with --signer: else anybody could have signed.")
    if Path(what).exists():
        if version is not None:
            raise UsageError("--version is of a function, not of a bundle's path.")
        checks = _of_bundle(Path(what), manifest, sigstore, signer or "", trusted_root)
    elif sigstore is not None:
        raise UsageError("--sigstore is of a bundle's path, not of a function.")
    else:
        workspace = Workspace(manifest, (what,))
        with connect() as client:
            checks = _of_function(client, workspace, version)
    if json:
        print_json([check._asdict() for check in checks])
    else:
        for check in checks:
            mark, colour = ("holds", GREEN) if check.holds else ("FAILS", RED)
            print_line(f"{mark}  {check.what}: {check.detail}", colour)
    if not all(check.holds for check in checks):
        failed = ", ".join(check.what for check in checks if not check.holds)
        raise CommandError(
            f"It is not what it should be: {failed}.",
            next_step="See which source it was built from, and deploy that again.",
        )


def _of_function(client: NodeClient, workspace: Workspace, number: int | None) -> list[Check]:
    name = workspace.name_of(workspace.chosen[0])
    shown = client.call(ShowFunction(project=name.project, function=name.function))
    live = live_version(shown)
    number = number or (live.number if live is not None else None)
    found = next((one for one in shown.versions if one.number == number), None)
    if found is None:
        raise MissingError(f"{name} has no such version.", next_step=f"See `casemate show {name}`.")
    held = client.call(
        ShowAttestations(project=name.project, function=name.function, number=found.number)
    )
    checks, said = _signatures(name, held)
    checks += _sigstore(client, name, held)
    if found.digest != held.digest:
        checks.append(Check("version", False, f"{found.digest} is signed as {held.digest}"))
    (built,) = workspace.build(None, relock=False)
    checks.append(_same(built.digest, found.digest))
    if said is not None and built.digest == found.digest:
        checks.append(_sbom(said, built))
    return checks


def _signatures(name: FunctionName, held: Attestations) -> tuple[list[Check], Vouched | None]:
    """Check who vouches for a version, here and not by the node's word."""
    from casemate.signing import key_id, read_vouched, require_public

    public = {}
    for key in held.keys:
        raw = require_public(key.public)
        if key_id(raw) == key.id:
            public[key.id] = raw
    checks, newest = [], None
    for one in held.attestations:
        try:
            said = read_vouched(held.digest, one.provenance, one.sbom, public)
        except CasemateError as error:
            checks.append(Check("signature", False, error.message))
            continue
        owners = sorted({key.principal for key in held.keys if key.id in said.keys})
        revoked = [key for key in held.keys if key.id in said.keys and key.revoked_at is not None]
        by = f"{', '.join(owners)} with {', '.join(sorted(k[:12] for k in said.keys))}"
        if said.migrated:
            by = "the node alone, which found it deployed when it began to ask for signatures"
        if (said.project, said.function) != (name.project, name.function):
            checks.append(Check("provenance", False, f"it is of {said.project}/{said.function}"))
        elif revoked and (one.used_at or 0.0) >= min(key.since or 0.0 for key in revoked):
            checks.append(Check("signature", False, f"by {by}, revoked: {revoked[0].reason}"))
        else:
            checks.append(Check("signature", True, f"by {by}"))
            newest = said
    if not checks:
        checks.append(Check("signature", False, "nobody vouches for it"))
    return checks, newest


def _sigstore(client: NodeClient, name: FunctionName, held: Attestations) -> list[Check]:
    """Check what came with a version that was signed with Sigstore."""
    from casemate.cli.sigstore_check import kept_signing

    came = [one.sigstore for one in held.attestations if one.sigstore]
    root = client.call(ShowSigningRule(project=name.project)).trusted_root if came else ""
    return [Check("sigstore", *kept_signing(each, root, held.digest)) for each in came]


def _same(built: str, wanted: str) -> Check:
    if built == wanted:
        return Check("source", True, f"building it again gives {built[:12]}")
    detail = f"building it again gives {built[:12]}, not {wanted[:12]}"
    return Check("source", False, detail)


def _sbom(said: Vouched, built: BuiltBundle) -> Check:
    from casemate.sbom import sbom as sbom_of
    from casemate.signing import comparable_sbom

    if said.sbom is None:
        return Check("SBOM", True, "none was signed, so there is none to compare")
    made = msgspec.json.decode(sbom_of(built.path, built.manifest))
    if comparable_sbom(made) == comparable_sbom(said.sbom):
        return Check("SBOM", True, f"it names the {len(made['components'])} packages there are")
    return Check("SBOM", False, "it is not that of the bundle")


def _of_bundle(
    path: Path,
    manifest: Path | None,
    sigstore: Path | None,
    signer: str,
    trusted_root: Path | None,
) -> list[Check]:
    """Check a folder or an archive, and build it again where its project is here."""
    try:
        with opened_bundle(path) as (_, read):
            digest, count = read.digest(), len(read.files)
    except CasemateError as error:
        return [Check("digests", False, error.message)]
    checks = [Check("digests", True, f"{count} files are those that {digest[:12]} names")]
    if sigstore is not None:
        from casemate.cli.sigstore_check import signed_with_sigstore

        held = signed_with_sigstore(sigstore, signer, trusted_root, path, digest)
        checks.append(Check("sigstore", *held))
    if manifest is None and find_manifest() is None:
        return checks
    workspace = Workspace(manifest, ())
    spec = workspace.project.function(read.function.name)
    if workspace.project.name == read.project and spec is not None:
        workspace.chosen = [spec]
        # Not into the folder that it may be in: what is there would not be built.
        with temporary_folder("casemate-verify-") as out:
            (built,) = workspace.build(out, relock=False)
            checks.append(_same(built.digest, digest))
    return checks
