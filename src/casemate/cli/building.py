"""Building a project's functions, as `build` and `deploy` do it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from casemate.cli.errors import MissingError
from casemate.cli.index_logins import lender
from casemate.cli.names import FunctionName, require_manifest
from casemate.cli.own_folder import own_folder
from casemate.cli.terminal import YELLOW, note, progress
from casemate.model.errors import CasemateError

if TYPE_CHECKING:
    from casemate.advisories import KnownHoles
    from casemate.build import Interpreter
    from casemate.build.bundle import BuiltBundle
    from casemate.model.function import FunctionSpec, Project

BUNDLES = PurePosixPath(".casemate/bundles")
"""Where bundles are built, relative to the manifest."""


class Workspace:
    """A project on disk, and the functions of it that were asked for."""

    def __init__(self, manifest: Path | None, names: Sequence[str]) -> None:
        """Load the manifest and choose the functions called `names`, or all without any."""
        from casemate.manifest import load

        path = require_manifest(manifest)
        self.path = path
        self.root = path.parent.absolute()
        self.project: Project = load(path)
        self._lend = lender(self.project.name)
        self.chosen = [self._choose(name) for name in dict.fromkeys(names)]
        if not names:
            self.chosen = list(self.project.functions)

    def needs_packages(self, spec: FunctionSpec) -> bool:
        """Tell whether a function names packages. What cannot be read is the build's to tell."""
        from casemate.build.requirements import read_requirements

        if spec.requirements is None:
            return False
        try:
            return not read_requirements(self.root, spec.requirements).empty
        except CasemateError:
            return True

    def _choose(self, name: str) -> FunctionSpec:
        spec = self.project.function(name.removeprefix(f"{self.project.name}/"))
        if spec is None:
            known = ", ".join(f.name for f in self.project.functions)
            raise MissingError(
                f"The project {self.project.name} has no function {name!r}; it has {known}.",
                next_step="Name one of these, or add it to the manifest.",
            )
        return spec

    def name_of(self, spec: FunctionSpec) -> FunctionName:
        """Return the full name of one of the functions."""
        return FunctionName(self.project.name, spec.name)

    def build(self, out: Path | None, *, relock: bool) -> Iterator[BuiltBundle]:
        """Build the chosen functions one after the other, showing how far it is."""
        from casemate.advisories import KnownHoles, default_place
        from casemate.build import find_interpreters

        interpreters = find_interpreters(today=date.today(), environ=os.environ)
        with KnownHoles(default_place(os.environ)) as known:
            for spec in self.chosen:
                yield self._build(spec, out, interpreters, known, relock=relock)

    def _build(
        self,
        spec: FunctionSpec,
        out: Path | None,
        interpreters: Sequence[Interpreter],
        known: KnownHoles,
        *,
        relock: bool,
    ) -> BuiltBundle:
        from casemate.build.bundle import build
        from casemate.manifest import require_packages

        name = self.name_of(spec)
        with progress(f"Building {name}") as step:
            built = build(
                self.root,
                self.project.name,
                spec,
                out or own_folder(self.root, BUNDLES),
                progress=lambda text: step.update(f"Building {name}: {text}"),
                relock=relock,
                resources=self.project.resources,
                interpreters=interpreters,
                known=known,
                lend=self._lend,
            )
        there = {package.name for package in built.manifest.packages}
        require_packages(spec.name, spec.packages, there)
        for warning in built.warnings:
            note(f"Warning: {name}: {warning}", YELLOW)
        return built


def total_size(built: BuiltBundle) -> int:
    """Return the bytes of all files of a bundle."""
    return sum(file.size for file in built.manifest.files)
