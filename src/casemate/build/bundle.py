"""Builds one function: source and requirements in, an immutable bundle folder out."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import msgspec

from casemate.build.archive import verify
from casemate.build.compile import compile_tree, raise_syntax_errors
from casemate.build.contents import MANIFEST_NAME, check_manifest
from casemate.build.errors import ArchiveError, BuildError
from casemate.build.indexes import BuildIndexes
from casemate.build.interpreters import Interpreter, choose_interpreter, find_interpreters
from casemate.build.layer import Layer, dependencies, exclusive, place
from casemate.build.limits import MAX_BUNDLE_BYTES
from casemate.build.lock import lock
from casemate.build.requirements import read_requirements
from casemate.build.source import copy_source
from casemate.build.tree import fresh_folder, normalise_modes, publish, remove_tree
from casemate.build.uv_process import UvSession
from casemate.model.bundle import BundleFile, BundleManifest
from casemate.model.function import NAME_PATTERN, FunctionSpec, named_resources
from casemate.model.grant import Resources
from casemate.package_index import Known, Lend, NothingKnown, nobody_lends


@dataclass(frozen=True, kw_only=True)
class BuiltBundle:
    """A finished bundle. `path` ends in `digest`; warnings are for the author to read."""

    digest: str
    path: Path
    manifest: BundleManifest
    warnings: tuple[str, ...]
    scripts: tuple[str, ...] = ()
    """Names of console scripts of packages, which are left out."""


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One build under way. `work` is its private folder, on the file system of `out`."""

    root: Path
    project: str
    spec: FunctionSpec
    out: Path
    work: Path
    cache: Path
    interpreter: Interpreter
    environ: Mapping[str, str]
    tell: Callable[[str], None]
    relock: bool
    resources: Resources
    known: Known
    lend: Lend


@dataclass(frozen=True, kw_only=True)
class _Dependencies:
    """The dependencies of one build; all empty without requirements."""

    folder: Path | None
    layer: Layer
    lock_sha256: str | None
    vendored: tuple[Path, ...]
    warnings: tuple[str, ...]


def build(
    project_root: Path,
    project: str,
    spec: FunctionSpec,
    out: Path,
    *,
    progress: Callable[[str], None] | None = None,
    relock: bool = False,
    cache: Path | None = None,
    interpreters: Sequence[Interpreter] | None = None,
    today: date | None = None,
    resources: Resources | None = None,
    known: Known | None = None,
    lend: Lend = nobody_lends,
) -> BuiltBundle:
    """Build `spec` of the project at `project_root` into `out/<digest>`.

    Blocks (run it in a thread). `cache` keeps downloads and installed dependencies (default:
    `casemate` below XDG_CACHE_HOME); `interpreters` saves looking for them again. `resources` are
    what the project declares; those that the function is granted or names go into the bundle.
    `known` tells what is an attack, and what mends a hole and need not wait; `lend` returns logins
    that are secrets. Equal input gives an equal digest. Builds of one function wait for each other.

    Raises BuildError (all of `casemate.build.errors`), ProtectionMissingError without a sandbox,
    UnavailableError when an index cannot be reached or a step takes too long.
    """
    for name in (project, spec.name):
        if not re.fullmatch(NAME_PATTERN, name, re.ASCII) or name.endswith("\n"):
            raise BuildError(
                f"{name!a} is not a name; expected lower-case letters, digits and `-`."
            )
    day = today or date.today()
    environ = dict(os.environ)
    found = find_interpreters(today=day, environ=environ) if interpreters is None else interpreters
    interpreter, warning = choose_interpreter(found, spec.python, today=day)
    caches = (cache or default_cache(environ)).absolute()
    out = out.absolute()
    try:
        out.mkdir(parents=True, exist_ok=True)
        caches.mkdir(parents=True, exist_ok=True)
        # uv trusts its cache: nobody else may write there, not even with the id of a step.
        caches.chmod(0o700)
        with exclusive(out / f".{project}.{spec.name}.lock"):
            work = fresh_folder(out, f".build-{project}.{spec.name}@")
            try:
                built = _build(
                    _Job(
                        root=project_root.absolute(),
                        project=project,
                        spec=spec,
                        out=out,
                        work=work,
                        cache=caches,
                        interpreter=interpreter,
                        environ=environ,
                        tell=progress or (lambda _: None),
                        relock=relock,
                        resources=resources or Resources(),
                        known=known or NothingKnown(),
                        lend=lend,
                    )
                )
            finally:
                remove_tree(work)
    except OSError as error:
        raise BuildError(
            f"The build could not read or write its files: {error.strerror or error}.",
            next_step="Check free space and permissions of the project, output and cache folders.",
        ) from error
    return built if warning is None else _with_warning(built, warning)


def _build(job: _Job) -> BuiltBundle:
    # (1) dependencies, so that a lock that is written is there before the source is copied
    needed = _dependencies(job)

    # (2) code
    staged = job.work / "bundle"
    code = _code(job, staged / "code", without=(job.out, job.cache, *needed.vendored))

    # (3) manifest, which gives the name
    if needed.folder is not None:
        place(needed.folder, needed.layer, staged / "deps")
    files = [*_below("code", code), *_below("deps", needed.layer.files)]
    manifest = BundleManifest(
        project=job.project,
        function=msgspec.structs.replace(job.spec, python=job.interpreter.minor),
        resources=job.resources.granted(named_resources(job.spec)),
        lock_sha256=needed.lock_sha256,
        packages=needed.layer.packages,
        files=tuple(sorted(files, key=lambda file: file.path)),
    )
    _check(manifest)
    (staged / MANIFEST_NAME).write_bytes(manifest.canonical())
    (staged / MANIFEST_NAME).chmod(0o644)

    # (4) its final name, at once
    digest = manifest.digest()
    _publish(staged, job.out / digest, job.work)
    return BuiltBundle(
        digest=digest,
        path=job.out / digest,
        manifest=manifest,
        warnings=(*needed.warnings, *needed.layer.warnings),
        scripts=needed.layer.scripts,
    )


def _dependencies(job: _Job) -> _Dependencies:
    if job.spec.requirements is None:
        nothing = Layer(files=(), packages=(), warnings=(), scripts=())
        return _Dependencies(folder=None, layer=nothing, lock_sha256=None, vendored=(), warnings=())
    steps = job.work / "steps"
    steps.mkdir(mode=0o700)
    session = UvSession(
        interpreter=job.interpreter,
        work=steps,
        cache=job.cache / "uv",
        environ=job.environ,
        known=job.known,
        lend=job.lend,
    )
    requirements = read_requirements(job.root, job.spec.requirements)
    BuildIndexes(session, job.root)  # a file of rules that is wrong is told, needed now or not
    job.tell(f"Locking {requirements.name}")
    locked, warning = lock(requirements, job.root, session, relock=job.relock)
    folder, layer = dependencies(
        locked, job.root, session, layers=job.cache / "layers", progress=job.tell
    )
    return _Dependencies(
        folder=folder,
        layer=layer,
        lock_sha256=locked.sha256,
        vendored=tuple(job.root / name for name in requirements.vendored),
        warnings=() if warning is None else (warning,),
    )


def _code(job: _Job, target: Path, *, without: Sequence[Path]) -> tuple[BundleFile, ...]:
    job.tell("Copying the code")
    copied = copy_source(job.root / job.spec.source, target, boundary=job.root, without=without)
    normalise_modes(target.parent)
    job.tell("Compiling the code")
    compiled, failures = compile_tree(
        target, "code", copied, job.interpreter, work=job.work, own=True
    )
    raise_syntax_errors(failures)
    normalise_modes(target.parent)
    return (*copied, *compiled)


def _publish(staged: Path, final: Path, work: Path) -> None:
    """Rename, unless a sound bundle of that name is there; a damaged one is replaced."""
    if final.exists():
        try:
            verify(final)
        except ArchiveError:
            pass
        else:
            return
    publish(staged, final, trash=work)


def _check(manifest: BundleManifest) -> None:
    try:
        check_manifest(manifest)
    except ArchiveError as error:
        raise BuildError(
            f"The result is not a valid bundle. {error.message}",
            next_step="What a function is granted must be declared in the manifest, and a bundle "
            f"holds up to {MAX_BUNDLE_BYTES // 1024 // 1024} MiB.",
        ) from error


def _below(part: str, files: Sequence[BundleFile]) -> list[BundleFile]:
    return [msgspec.structs.replace(file, path=f"{part}/{file.path}") for file in files]


def default_cache(environ: Mapping[str, str]) -> Path:
    """Return where downloads and installed dependencies are kept."""
    base = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "casemate"


def _with_warning(built: BuiltBundle, warning: str) -> BuiltBundle:
    return replace(built, warnings=(warning, *built.warnings))
