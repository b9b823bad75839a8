"""Licence expressions: as SPDX means them, within bounds, and alike by a plain evaluator."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from casemate.sbom.expressions import MAX_CHARS, MAX_DEPTH, canonical, is_allowed, is_one

CLASSPATH = "GPL-2.0-only WITH Classpath-exception-2.0"


def holds(text: str, *allowed: str) -> bool:
    """Tell whether a text is allowed, by canonical licences."""
    expression = canonical(text)
    assert expression is not None, text
    known = [canonical(each) for each in allowed]
    assert None not in known
    return is_allowed(expression, tuple(each or "" for each in known))


@pytest.mark.parametrize(
    ("text", "allowed", "expected"),
    [
        ("mit", ("MIT",), True),
        ("MIT", (), False),
        ("MIT-0", ("MIT",), False),
        ("MIT", ("MIT-0",), False),
        ("MIT+", ("MIT-0",), False),
        ("MIT OR GPL-3.0-only", ("MIT",), True),
        ("GPL-3.0-only OR MIT", ("MIT",), True),
        ("MIT AND GPL-3.0-only", ("MIT",), False),
        ("GPL-3.0-only AND MIT", ("MIT",), False),
        ("MIT AND GPL-3.0-only", ("MIT", "GPL-3.0-only"), True),
        ("MIT OR ISC AND GPL-3.0-only", ("MIT",), True),
        ("(MIT OR ISC) AND GPL-3.0-only", ("MIT",), False),
        ("((MIT)) or ((isc))", ("ISC",), True),
        # deprecated ids are what they were replaced by
        ("GPL-3.0", ("GPL-3.0-only",), True),
        ("GPL-3.0-only", ("GPL-3.0",), True),
        ("gpl-3.0+", ("GPL-3.0-or-later",), True),
        ("LGPL-2.1+", ("LGPL-3.0-only",), True),
        # any later version
        ("GPL-2.0-or-later", ("GPL-3.0-only",), True),
        ("GPL-3.0-or-later", ("GPL-2.0-only",), False),
        ("GPL-3.0-only", ("GPL-2.0-or-later",), True),
        ("GPL-2.0-only", ("GPL-3.0-or-later",), False),
        ("GPL-2.0-only", ("GPL-3.0-only",), False),
        ("Apache-1.1+", ("Apache-2.0",), True),
        ("Apache-2.0", ("Apache-1.1+",), True),
        ("AGPL-3.0-or-later", ("GPL-3.0-or-later",), False),
        ("LGPL-3.0-only", ("GPL-3.0-only",), False),
        # exceptions
        (CLASSPATH, (CLASSPATH,), True),
        (CLASSPATH, ("GPL-2.0-only",), True),
        ("GPL-2.0-only", (CLASSPATH,), False),
        ("GPL-2.0-only WITH Bison-exception-2.2", (CLASSPATH,), False),
        ("GPL-2.0-with-classpath-exception", (CLASSPATH,), False),
        # own names
        ("LicenseRef-Ours", ("LicenseRef-ours",), True),
        ("LicenseRef-Ours-2.0", ("LicenseRef-Ours-1.0",), False),
        ("LicenseRef-Ours-2.0-or-later", ("LicenseRef-Ours-2.0",), False),
    ],
)
def test_what_an_expression_means(text: str, allowed: tuple[str, ...], expected: bool) -> None:
    assert holds(text, *allowed) is expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "MIT OR (",
        "MIT OR",
        "OR MIT",
        "MIT ISC",
        "(MIT",
        "MIT)",
        "()",
        "MIT (ISC)",
        "MIT WITH",
        "(MIT) WITH Classpath-exception-2.0",
        "MIT WITH ISC",
        "MIT AND NOT ISC",
        "MIT/Apache-2.0",
        "LicenseRef-",
        "LicenseRef-\u0660",
        "LicenseRef-a+",
        "\uff2d\uff29\uff34",
        "m\u0131t",
        "GPL-3.0-only+",
        "GPL-3.0-or-later+",
        "Proprietary",
        "MIT; import os",
        "True",
        "M" * 10_000,
        " OR ".join(["MIT"] * 10_000),
        "(" * 10_000,
        "(" * (MAX_DEPTH + 1) + "MIT" + ")" * (MAX_DEPTH + 1),
    ],
)
def test_what_cannot_be_read(text: str) -> None:
    assert canonical(text) is None


def test_the_bounds_are_where_they_are_said_to_be() -> None:
    deep = "(" * MAX_DEPTH + "MIT" + ")" * MAX_DEPTH
    assert holds(deep, "MIT")
    longest = "MIT OR MIT".ljust(MAX_CHARS)
    assert canonical(longest) == "MIT OR MIT"
    assert canonical(longest + " ") is None


def test_the_dearest_expressions_take_no_time() -> None:
    many = tuple(f"GPL-{n}.{m}" for n in range(20) for m in range(10))
    began = time.process_time()
    for number in range(200):
        is_allowed(f"LicenseRef-{number} OR {' AND '.join(['GPL-99.0-or-later'] * 9)}", many)
    assert time.process_time() - began < 1.0


def test_one_licence_and_several() -> None:
    assert is_one(CLASSPATH) and is_one("MIT") and is_one("Apache-2.0+")
    assert not (is_one("MIT OR ISC") or is_one("MIT AND ISC") or is_one("(MIT)"))


# -- against a plain evaluator ---------------------------------------------------------------------

LATEST = 99
Offer = tuple[str, str, frozenset[int]]
"""Family, exception, and all the versions that it may be taken under."""
_TERMS: dict[str, Offer] = {"MIT": ("MIT", "", frozenset({0})), "ISC": ("ISC", "", frozenset({0}))}
for _family, _versions, _only, _later in (
    ("GPL", (1, 2, 3), "-only", "-or-later"),
    ("LGPL", (2, 3), "-only", "-or-later"),
    ("Apache", (1, 2), "", "+"),
):
    for _v in _versions:
        for _exception in ("", "Bison-exception-2.2", "LLVM-exception"):
            _with = f" WITH {_exception}" if _exception else ""
            _name = f"{_family}-{_v}.0"
            _open = frozenset({*range(_v, 4), LATEST})
            _TERMS[f"{_name}{_only}{_with}"] = (_family, _exception, frozenset({_v}))
            _TERMS[f"{_name}{_later}{_with}"] = (_family, _exception, _open)


def _term_holds(offer: Offer, allowed: tuple[str, ...]) -> bool:
    return any(
        family == offer[0] and exception in ("", offer[1]) and bool(versions & offer[2])
        for family, exception, versions in (_TERMS[each] for each in allowed)
    )


def _grown(dice: random.Random, depth: int) -> tuple[str, Callable[[tuple[str, ...]], bool]]:
    """Return an expression, and what it comes to by Python's own `and` and `or`."""
    if depth == 0 or dice.random() < 0.3:
        name = dice.choice(list(_TERMS))
        return name, lambda allowed: _term_holds(_TERMS[name], allowed)
    (left, first), (right, second) = _grown(dice, depth - 1), _grown(dice, depth - 1)
    if dice.random() < 0.5:
        return f"({left}) AND ({right})", lambda a: first(a) and second(a)
    text = f"{left} OR {right}"
    return (text if dice.random() < 0.5 else f"({text})"), lambda a: first(a) or second(a)


def test_it_comes_to_what_a_plain_evaluator_says() -> None:
    dice, seen = random.Random(13), {True: 0, False: 0}
    while sum(seen.values()) < 3_000:
        text, plain = _grown(dice, 3)
        text = text.replace(" AND (", dice.choice((" AND (", " and  ( ")))
        expression = canonical(text)
        if expression is None:
            assert len(text) > MAX_CHARS
            continue
        allowed = tuple(dice.sample(list(_TERMS), dice.randint(0, 6)))
        assert is_allowed(expression, allowed) is plain(allowed), (text, allowed)
        seen[plain(allowed)] += 1
    assert min(seen.values()) > 500


def test_or_binds_less_than_and_whatever_stands_first() -> None:
    dice = random.Random(7)
    for _ in range(500):
        names = [dice.choice(("MIT", "ISC", "Zlib")) for _ in range(6)]
        words = [dice.choice(("and", "or")) for _ in range(5)]
        allowed = tuple(dice.sample(("MIT", "ISC", "Zlib"), dice.randint(0, 3)))
        text = names[0] + "".join(f" {w} {n}" for w, n in zip(words, names[1:], strict=True))
        plain = text
        for name in set(names):
            plain = plain.replace(name, str(name in allowed))
        assert holds(text, *allowed) is eval(plain)
