"""Functions that SQLite has and PostgreSQL has not, made in each schema under the same names.

So a statement that calls them is the same on both. Those of the same name and other arguments, such
as the aggregate `max`, are what they were.
"""

from __future__ import annotations

from typing import Final

_EXTREME = """
    CREATE OR REPLACE FUNCTION {name}({type}, {type}) RETURNS {type}
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS 'SELECT CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL THEN {function}($1, $2) END'
"""
FUNCTIONS: Final = (
    *(
        _EXTREME.format(name=name, type=kind, function=function)
        for name, function in (("max", "greatest"), ("min", "least"))
        for kind in ("bigint", "double precision")
    ),
    # Zero of nothing, and never an overflow.
    """
    CREATE OR REPLACE FUNCTION casemate_add(double precision, bigint) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT $1 + coalesce($2, 0)'
    """,
    """
    CREATE OR REPLACE AGGREGATE total(bigint)
    (SFUNC = casemate_add, STYPE = double precision, INITCOND = 0)
    """,
    # The elements of a list, as text: numbers are to be cast where they are compared with numbers.
    """
    CREATE OR REPLACE FUNCTION json_each(text) RETURNS TABLE (key bigint, value text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 20
    AS 'SELECT ordinality - 1, e FROM jsonb_array_elements_text($1::jsonb)
        WITH ORDINALITY AS found (e, ordinality)'
    """,
)
"""In PostgreSQL's own words; they are not translated."""
