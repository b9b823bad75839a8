"""Where many nodes keep their state: a database and an object store, named by the operator.

The URL of the database has a password, as a rule. So it may come from the environment, from where
it is taken away before another process is started, and is handed to the gateway alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

import msgspec

from casemate.model.errors import InvalidInputError, ProtectionMissingError
from casemate.model.processes import DATABASES_VARIABLE, OBJECTS_VARIABLE, STORE_VARIABLE
from casemate.supervisor.database_map import databases_of, encoded
from casemate.supervisor.options import ServeOptions, SharedOptions
from casemate.vault.key_material import take_variable

UNPROVED, CLEAR_DISKS = "unproved-store", "clear-disks"
_FILE = "file:"
_MAX_FILE = 8192


class SharedPlaces(msgspec.Struct, frozen=True, kw_only=True):
    """Both places, and the other databases of projects by name. Shows none."""

    store: str
    objects: str
    databases: Mapping[str, str] = {}
    unproved: bool
    """Whether they may be spoken to without TLS that proves them."""

    def __repr__(self) -> str:
        """Return no URL: a password can be in it."""
        return f"{type(self).__name__}(unproved={self.unproved})"

    @property
    def environment(self) -> dict[str, str]:
        """What tells the gateway."""
        named = {STORE_VARIABLE: self.store, OBJECTS_VARIABLE: self.objects}
        return named | ({DATABASES_VARIABLE: encoded(self.databases)} if self.databases else {})


def shared_places(
    options: ServeOptions, environ: MutableMapping[str, str] | None = None
) -> SharedPlaces | None:
    """Return what options and environment name, None for a node that keeps its state itself.

    Takes it out of the environment. Raises InvalidInputError, ProtectionMissingError; neither shows
    what may be secret.
    """
    return named_places(options.shared, options.accepted_risks, environ)


def named_places(
    shared: SharedOptions,
    accepted_risks: tuple[str, ...],
    environ: MutableMapping[str, str] | None = None,
) -> SharedPlaces | None:
    """Do as `shared_places`, for what is no start of a node."""
    environ = os.environ if environ is None else environ
    named = _taken(environ, STORE_VARIABLE), _taken(environ, OBJECTS_VARIABLE)
    databases = shared.databases or _taken(environ, DATABASES_VARIABLE)
    store, objects = shared.store or named[0], shared.objects or named[1]
    if not store and not objects:
        if databases:
            raise InvalidInputError(
                "Only --databases is given: there are others only beside that of --store.",
                next_step="Give --store and --objects as well.",
            )
        return None
    if not store or not objects:
        raise InvalidInputError(
            f"Only {'--store' if store else '--objects'} is given: nodes that share a database "
            "have to share a store for objects and bundles, too.",
            next_step="Give both --store and --objects, or CASEMATE_STORE and CASEMATE_OBJECTS.",
        )
    if store.startswith(_FILE):
        store = url_of(store)
    elif shared.store and _has_password(shared.store):
        raise InvalidInputError(
            "The URL of --store has a password, which everybody on this machine could see.",
            next_step="Give it by the variable CASEMATE_STORE, or as --store file:PATH.",
        )
    places = SharedPlaces(
        store=store,
        objects=objects,
        databases=urls_of(databases),
        unproved=UNPROVED in accepted_risks,
    )
    _require_sound(places, environ)
    if not shared.encrypted_disks and CLEAR_DISKS not in accepted_risks:
        raise ProtectionMissingError(
            "Names, keys, times and policies can be read in the database, so its disks have to be "
            "encrypted; nobody can see from here whether they are.",
            next_step="Say that they are with --encrypted-disks, or accept the risk by name: "
            f"--accept-risk {CLEAR_DISKS}",
        )
    return places


def url_of(store: str) -> str:
    """Return the URL of a database that is named so, or is in the file that is. Raises
    InvalidInputError."""
    return _first_line(Path(store.removeprefix(_FILE))) if store.startswith(_FILE) else store


def urls_of(databases: str) -> Mapping[str, str]:
    """Return the URLs of other databases that a file names, none without one. Raises
    InvalidInputError."""
    return databases_of(Path(databases), _first_line) if databases else {}


def _taken(environ: MutableMapping[str, str], name: str) -> str:
    """Return a variable and remove it, also from what `/proc/PID/environ` shows of this process."""
    found = environ.get(name, "")
    if name in environ and environ is os.environ:
        take_variable(name)
    environ.pop(name, None)
    return found


def _require_sound(places: SharedPlaces, environ: MutableMapping[str, str]) -> None:
    # Only here: a node that keeps its state itself starts without any of it.
    from casemate.blobs import credentials_of, parse_s3_url
    from casemate.blobs.s3_url import PLAINTEXT

    try:
        from casemate.postgresql.settings import Settings
    except ImportError as error:
        raise ProtectionMissingError(
            f"This installation cannot speak to PostgreSQL: {error.name or error} is missing.",
            next_step="Install it with its extra, as 'casemate-VERSION-py3-none-any.whl[cluster]': "
            "docs/howto/install.md has the command.",
        ) from error
    Settings.of_url(places.store, weak_tls_accepted=places.unproved)
    for name, url in places.databases.items():
        try:
            Settings.of_url(url, weak_tls_accepted=places.unproved)
        except InvalidInputError as error:
            raise InvalidInputError(
                f"The database {name}: {error.message}", next_step=error.next_step
            ) from None
    parse_s3_url(places.objects, frozenset({PLAINTEXT} if places.unproved else ()))
    credentials_of(environ)


def _has_password(url: str) -> bool:
    authority = url.partition("://")[2].partition("/")[0]
    return ":" in authority.rpartition("@")[0]


def _first_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE + 1)
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise InvalidInputError(
            f"The URL of the database cannot be read from {path}: {error.strerror}.",
            next_step="Name a file that holds it and that only the node's user may read.",
        ) from error
    if mode & 0o077:
        raise InvalidInputError(
            f"{path} has the URL of the database, and others than its owner may read it.",
            next_step=f"Run: chmod 600 {path}",
        )
    if len(content) > _MAX_FILE:
        raise InvalidInputError(f"{path} has more than {_MAX_FILE} bytes, expected one URL.")
    return content.decode(errors="replace").partition("\n")[0].strip()
