"""What is told to be added to a manifest so that a use is granted, in the form that fits there."""

from __future__ import annotations

from collections.abc import Mapping


def line_to_add(
    function: str,
    key: str,
    fields: Mapping[str, str],
    *,
    short: str = "",
    there: bool = False,
    in_tables: bool = False,
) -> str:
    """Return where what is to be written, on one line: HTTP has no room for another.

    `fields` are keys and values of TOML, `short` stands for all of them where it is enough. TOML
    takes a key once, and tables `[[...]]` beside no list: `there` says that `key` has something
    already, `in_tables` that it is in such tables.
    """
    grants = f"function.{function}.grants"
    if in_tables:
        lines = " and ".join(f"{name} = {value}" for name, value in fields.items())
        return f"In casemate.toml add a table [[{grants}.{key}]] with the lines {lines}"
    inline = short or f"{{ {', '.join(f'{name} = {value}' for name, value in fields.items())} }}"
    if there:
        return f"Under [{grants}] in casemate.toml add to {key}: {inline}"
    return f"Under [{grants}] in casemate.toml add: {key} = [{inline}]"
