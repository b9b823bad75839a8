"""The import: read the model, draft each function, write the folder, and say what is left."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from casemate.audit import Application, Function, Workspace, applications_of
from casemate.audit.code.reading import Code
from casemate.audit.model import Place, Platform, Reach
from casemate.importing import building, leftovers, limits
from casemate.importing.code import Sources, handler_of
from casemate.importing.environment import Environment, environment_of, hidden_values
from casemate.importing.manifest_text import text_of
from casemate.importing.outcome import Imported, Notes, Opened, shown, shown_place
from casemate.importing.packages import requirements_of
from casemate.importing.page import PAGE_NAME, page_of
from casemate.importing.reading import Reading
from casemate.importing.resources import Resources
from casemate.importing.routes import Routing, event_format, own_name
from casemate.importing.triggers import Triggering
from casemate.importing.writing import check_output, copy, new_folder, write_text
from casemate.manifest import MANIFEST_NAME, ManifestError, load
from casemate.model.errors import CasemateError

_IMPORTERS = {
    "sam": ("sam", "cloudformation", "cdk"),
    "serverless": ("serverless",),
    "openfaas": ("openfaas",),
}
_TEMPLATES = {"sam": "template.yaml", "serverless": "serverless.yml", "openfaas": "stack.yml"}
_PROBLEM_OF = re.compile(r"function\.([a-z][a-z0-9-]{0,62})(?:[.\[]|\Z)")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]{1,253}(?::[0-9]{1,5})?")
_HEADER = re.compile(r"[a-z0-9!#$%&'+.^_`|~-]{1,64}")
_MAX_ROUNDS = 20


class NothingToImportError(CasemateError):
    """There is nothing that could be imported."""


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What a person decided."""

    name: str = ""
    """Of the project; without it that of the application."""
    accept_public: frozenset[str] = frozenset()
    """Functions that everybody may call, by their names in the project."""


def imported(path: Path, platform: str, output: Path | None, choices: Choices) -> Imported:
    """Import the application at a path into a new folder, and return what came of it."""
    workspace, application = _application(path, platform)
    run = _Import(workspace, application, platform, choices)
    folder = output if output is not None else Path(f"{run.project}-casemate")
    check_output(folder)
    run.draft()
    return run.write(folder)


def _application(path: Path, platform: str) -> tuple[Workspace, Application]:
    if not path.exists():
        raise NothingToImportError(f"{path} is not there.")
    workspace = Workspace(path)
    found = [a for a in applications_of(workspace) if a.importer in _IMPORTERS[platform]]
    if not found:
        reasons = "; ".join(f"{each.place}: {each.what}" for each in workspace.notes[:3])
        raise NothingToImportError(
            f"There is no application of {platform} in {path}{': ' + reasons if reasons else '.'}",
            next_step=f"Name its folder, or its template, such as {_TEMPLATES[platform]}.",
        )
    if len(found) > 1:
        names = ", ".join(shown(a.place.file) for a in found[:8])
        raise NothingToImportError(
            f"There are {len(found)} applications of {platform} in {path}: {names}.",
            next_step="Name one of these files. Each becomes a project of its own.",
        )
    return workspace, found[0]


class _Import:
    """One import, from the model to the folder."""

    def __init__(
        self, workspace: Workspace, application: Application, platform: str, choices: Choices
    ) -> None:
        self._workspace = workspace
        self._application = application
        self._platform = platform
        self._choices = choices
        self.project = choices.name or self._named()
        self._notes = Notes()
        self._resources = Resources(application, self._notes)
        self._sources = Sources(workspace, application, self._notes)
        self._drafts: list[building.Draft] = []
        self._opened: list[Opened] = []
        self._comments: dict[tuple[str, str], list[str]] = {}
        self._code_read = Code(workspace)
        self._reading = Reading(application, workspace, self._code_read)

    def _named(self) -> str:
        """Return the project's name: that of the service, or of the template's folder."""
        if self._platform == "serverless" and "/" not in self._application.name:
            return own_name(self._application.name)
        file = self._application.place.file
        folder = file.rpartition("/")[0].rpartition("/")[2] or self._workspace.root.resolve().name
        return own_name(folder)

    # -- drafting ------------------------------------------------------------------------------

    def draft(self) -> None:
        """Draft all functions, then what only all of them together decide."""
        environments = self._environments()
        triggering = Triggering(self._resources, self._notes, self._sources.holds)
        routing = Routing(self._application, self._notes, self.project)
        functions = self._application.functions
        for function in functions[: limits.MAX_FUNCTIONS]:
            why = leftovers.why_not(function)
            if why is not None:
                leftovers.not_imported(function, *why, self._notes)
                continue
            draft = self._one(function, environments[function.name])
            if draft is not None:
                self._drafts.append(draft)
                routing.add(function, draft.name)
                self._after(draft, triggering)
        if len(functions) > limits.MAX_FUNCTIONS:
            what = f"more than {limits.MAX_FUNCTIONS} functions: the rest was left out"
            place, then = functions[limits.MAX_FUNCTIONS].place, "import it as a project of its own"
            self._notes.leave(place, what, then, blocking=True)
        for name, routes in routing.settled().items():
            draft = next(each for each in self._drafts if each.name == name)
            draft.table["http"] = routes
        self._requirements()
        self._opening()
        leftovers.resources_left(self._application, self._notes)
        leftovers.unread(self._application, self._workspace, self._notes)

    def _environments(self) -> dict[str, Environment]:
        """Sort the variables of all functions first: one's secrets may be in others' code."""
        found, values = {}, set(hidden_values(self._application))
        for function in self._application.functions:
            notes = self._notes if leftovers.why_not(function) is None else Notes()
            made = environment_of(function, self._application, self._resources, notes)
            found[function.name] = made
            values |= made.values
        for asset in self._application.of_kind("secret", "database"):
            for key in ("value", "password"):
                value = asset.settings.get(key)
                if (
                    isinstance(value, str)
                    and len(value) >= 8
                    and "$" not in value
                    and "{{" not in value
                ):
                    values.add(value)
        self._sources.keep_out(values)
        return found

    def _one(self, function: Function, environment: Environment) -> building.Draft | None:
        known = self._resources.logical(function.name)
        name = known.name if known is not None else own_name(function.name)
        source = self._sources.of(function, name)
        if source is None:
            return None
        handler = handler_of(function, source, self._notes)
        if handler is None:
            why = f"no manifest can name its handler {function.handler}"
            next = "rename its module, and name its handler in casemate.toml"
            leftovers.not_imported(function, why, next, self._notes)
            return None
        table: dict[str, Any] = {"handler": handler, "source": source.name}
        table |= building.settings_of(function, self._application, self._notes)
        if function.platform is Platform.AWS:
            table["event_format"], alone = event_format(function, self._application)
            if not alone:
                what = f"{function.name} gets events of several shapes, and all of one here"
                shape = table["event_format"]
                then = f"look that its handler takes {shape} (docs/howto/run-aws-handlers.md)"
                self._notes.leave(function.place, what, then, blocking=True)
        return building.Draft(name, function, source, table, environment)

    def _after(self, draft: building.Draft, triggering: Triggering) -> None:
        """Give a function its triggers, environment, grants and deliveries."""
        function, table = draft.function, draft.table
        building.features(function, self._notes)
        table |= triggering.of(function)
        if draft.environment.kept:
            table["environment"] = draft.environment.kept
        for name, variable in draft.environment.unknown.items():
            told = f'{name} = ""  ({variable.place}: {variable.value})'
            self._comments.setdefault((draft.name, "environment"), []).append(told)
        details = self._reading.of(function, frozenset(draft.environment.secrets))
        grants = building.needs_and_grants(
            draft, details, self._resources, self._notes, self._sources.holds
        )
        if grants:
            table["grants"] = grants
        consumed = [each["queue"] for each in table.get("queue", ())]
        receives = building.receives_of(self._application, self._resources)
        delivery = building.delivery_of(function, self._resources, consumed, receives)
        if delivery:
            table["delivery"] = delivery
        self._cors(draft)

    def _cors(self, draft: building.Draft) -> None:
        apis = {asset.name: asset for asset in self._application.of_kind("api")}
        found: dict[str, set[str]] = {"origins": set(), "headers": set(), "expose": set()}
        credentials = False
        for trigger in draft.function.triggers:
            api = apis.get(trigger.source)
            if trigger.kind == "http" and api is not None:
                for key, names in found.items():
                    names.update(api.settings.get(f"cors_{key}") or ())
                credentials |= api.settings.get("cors_credentials") is True
        origins = found["origins"]
        named = sorted(each for each in origins if _ORIGIN.fullmatch(each))[:50]
        if named:
            cors: dict[str, Any] = {"origins": named}
            for key in ("headers", "expose"):
                if named_headers := sorted(filter(_HEADER.fullmatch, found[key] - {"*"}))[:50]:
                    cors[key] = named_headers
            if credentials:
                cors["credentials"] = True
            draft.table["cors"] = cors
        if named and "*" in found["headers"] | found["expose"]:
            self._notes.leave(
                draft.function.place,
                f"{draft.function.name}: pages may send or read every header",
                "name them under headers and expose of [function.NAME.cors] of casemate.toml",
            )
        if set(origins) - set(named):
            self._notes.leave(
                draft.function.place,
                f"{draft.function.name}: pages of every origin, or of an unknown one, may use it",
                "name the origins in [function.NAME.cors] of casemate.toml",
            )

    def _requirements(self) -> None:
        for source in self._sources.all:
            users = [each for each in self._drafts if each.source is source]
            brought = {name for each in users for name in each.needs.packages}
            file = requirements_of(source, self._workspace, brought=brought, notes=self._notes)
            for draft in users if file is not None else ():
                draft.table["requirements"] = file

    def _opening(self) -> None:
        """Open what everybody may call there, as far as a person accepted that by name."""
        public = {}
        for draft in self._drafts:
            open_ones = [t for t in draft.function.triggers if t.reach is Reach.PUBLIC]
            if open_ones and draft.table.get("http"):
                public[draft.name] = open_ones[0].place
        unknown = sorted(self._choices.accept_public - set(public))
        if unknown:
            raise NothingToImportError(
                f"--accept-public {unknown[0]}: the template does not let everybody call it.",
                next_step="It is for "
                + (", ".join(sorted(public)[:20]) or "none of its functions."),
            )
        for draft in self._drafts:
            if draft.name not in public:
                continue
            place = public[draft.name]
            accepted = draft.name in self._choices.accept_public
            self._opened.append(Opened(draft.name, shown_place(place), accepted))
            told = f"{place} lets everybody call it: "
            if accepted:
                draft.table["public"] = True
                told += "that was accepted at the import, with --accept-public."
            else:
                told += "to accept that, write public = true. Until then callers show a token."
            self._comments.setdefault((draft.name, ""), []).append(told)

    # -- writing -------------------------------------------------------------------------------

    def write(self, folder: Path) -> Imported:
        """Write the folder, all of it or nothing."""
        if not self._drafts:
            left = [each.what for each in self._notes.left]
            raise NothingToImportError(
                "No function could be imported" + (f": {'; '.join(left[:3])}." if left else "."),
                next_step="Functions have to be in Python, with their code beside the template.",
            )
        with new_folder(folder) as made:
            count = self._copied(made)
            self._manifest(made)
            found = self._outcome(folder, count)
            page = page_of(found)
            if self._sources.holds(page):
                raise NothingToImportError(
                    "The value of a secret is a name in the template, which would be told.",
                    next_step="Rename it there, and import it again.",
                )
            write_text(made, PAGE_NAME, page)
            write_text(made, ".gitignore", ".casemate/\n.venv/\n__pycache__/\n.env*\n")
        return found

    def _copied(self, folder: Path) -> int:
        count = 0
        for source in self._sources.all:
            failed = dict(copy(self._workspace.root, source.files, folder, self._sources.refuse))
            for file, why in failed.items():
                self._notes.leave(
                    Place(file), f"the file was not copied: {why}", "copy it", blocking=True
                )
            for name, text in source.texts.items():
                write_text(folder, name, text)
            count += len(source.texts) + sum((folder / target).is_file() for target in source.files)
        return count

    def _manifest(self, folder: Path) -> None:
        """Write a manifest that its own loader accepts: what it refuses is left out and told."""
        path = folder / MANIFEST_NAME
        for _ in range(_MAX_ROUNDS):
            self._invoked()
            tables = {draft.name: draft.table for draft in self._drafts}
            first = [
                f"Imported from {self._application.place.file}. What is left is in {PAGE_NAME}."
            ]
            text = text_of(self.project, tables, self._resources.declared, self._comments, first)
            if self._sources.holds(text):  # whatever way it came: nothing is better than this
                raise NothingToImportError(
                    "The value of a secret stands elsewhere in the template, and would be written.",
                    next_step="Give it as a parameter or a reference there, and import it again.",
                )
            write_text(folder, MANIFEST_NAME, text)
            try:
                load(path)
            except ManifestError as error:
                self._refused(error)
                continue
            return
        raise CasemateError("The manifest that was made is not valid, so nothing was written.")

    def _refused(self, error: ManifestError) -> None:
        """Leave out the functions whose tables are refused; of the rest nothing can be left out."""
        wrong: dict[str, str] = {}
        for problem in error.problems:
            found = _PROBLEM_OF.match(problem.key)
            if found is not None:
                wrong.setdefault(
                    found[1], f"{problem.key}: found {problem.found}, expected {problem.expected}"
                )
        kept = [draft for draft in self._drafts if draft.name not in wrong]
        for draft in self._drafts:
            if draft.name in wrong:
                leftovers.not_imported(
                    draft.function,
                    wrong[draft.name],
                    "add it to casemate.toml by hand",
                    self._notes,
                )
        if not kept or len(kept) == len(self._drafts):
            first = next(iter(wrong.values()), str(error.problems[0]))
            raise NothingToImportError(
                f"Nothing could be made of it that is a project: {shown(first, 600)}.",
                next_step="Mend the template there, and import it again.",
            )
        self._drafts = kept

    def _invoked(self) -> None:
        """Grant no call of a function that the project does not have."""
        names = {draft.name for draft in self._drafts}
        for draft in self._drafts:
            grants: Mapping[str, list[str]] = draft.table.get("grants", {})
            for other in [each for each in grants.get("invoke", ()) if each not in names]:
                grants["invoke"].remove(other)
                what = f"{draft.function.name} invokes {other}, which is not in the project"
                self._notes.leave(draft.function.place, what, "import it, then grant the call")
            if "invoke" in grants and not grants["invoke"]:
                del draft.table["grants"]["invoke"]

    def _outcome(self, folder: Path, files: int) -> Imported:
        secrets: dict[str, None] = {}
        made = []
        for draft in self._drafts:
            grants = draft.table.get("grants", {})
            own = [*draft.environment.secrets.values(), *grants.get("secrets", ())]
            secrets |= dict.fromkeys(own)
            made.append(building.made_of(draft, grants, tuple(dict.fromkeys(own))))
        names = {draft.name for draft in self._drafts}
        return Imported(
            project=self.project,
            folder=str(folder),
            platform=self._platform,
            template=shown(self._application.place.file),
            functions=tuple(made),
            resources=tuple(
                f"{kind} {name}"
                for kind, found in self._resources.declared.items()
                for name in found
            ),
            secrets=tuple(sorted(secrets)),
            opened=tuple(each for each in self._opened if each.function in names),
            changes=self._notes.changes,
            left=self._notes.left,
            files=files,
        )
