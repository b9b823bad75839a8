"""What cannot be moved as a whole: projects that live in other databases, or came from there."""

from __future__ import annotations

from typing import Final

import msgspec

from casemate.data.postgresql.binding import MAIN
from casemate.data.postgresql.placements import Placement
from casemate.decoding import decodable
from casemate.migration.errors import MigrationError
from casemate.sqlite import engine

_MOVED: Final = "SELECT name FROM project WHERE moves > 0 ORDER BY name LIMIT 5"
_PLACES: Final = "SELECT value FROM node_value WHERE name LIKE 'places of projects %'"


def require_one_database(control: engine.Connection, catalogue: engine.Connection) -> None:
    """Refuse what would be left behind, or taken for what it is not any more. MigrationError."""
    found = {str(name) for (name,) in catalogue.execute(_MOVED)}
    for (value,) in control.execute(_PLACES):
        places = msgspec.json.decode(value, type=decodable(dict[str, Placement]))
        found |= {name for name, where in places.items() if where.database != MAIN or where.to}
    if found:
        raise MigrationError(
            "Projects live in other databases than the one of --store, or were moved between "
            f"them: {', '.join(sorted(found)[:5])}. Nothing was changed.",
            next_step="A state is moved as a whole only where no project ever was: "
            "docs/howto/move-to-postgresql.md",
        )
