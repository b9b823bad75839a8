"""What the tests of indexes share: an index, rules, and a selection made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from casemate.package_index import (
    Index,
    NothingKnown,
    Policy,
    Rules,
    Selection,
    Upstream,
    indexes_of,
    origins_of,
    pins_of,
    popular_names,
)
from casemate.sigstore import TrustedRoot, read_root
from support.package_index import FakeIndex, fake_index
from support.sigstore_keys import own_sigstore


def trusted_here() -> TrustedRoot:
    return read_root(own_sigstore().trusted_root(), "trusted.json")


NOW = datetime(2026, 11, 27, tzinfo=UTC).timestamp()
Select = Callable[..., Selection]


@pytest.fixture
def index() -> Iterator[FakeIndex]:
    with fake_index() as made:
        yield made


@pytest.fixture
def other() -> Iterator[FakeIndex]:
    with fake_index() as made:
        yield made


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream({}) as made:
        yield made


@pytest.fixture
def select(upstream: Upstream) -> Select:
    def make(
        *indexes: FakeIndex,
        policy: Policy | None = None,
        before: str = "",
        aged: bool = True,
        known: object = None,
    ) -> Selection:
        rules = Rules(
            policy=policy or Policy(),
            known=known or NothingKnown(),  # type: ignore[arg-type]
            now=NOW,
            aged=aged,
            trusted=trusted_here(),
        )
        first, *rest = [f"{each.url}/simple" for each in indexes]
        options = [f"--index-url {first}", *(f"--extra-index-url {each}" for each in rest)]
        found: tuple[Index, ...] = indexes_of(options, rules.policy, {})[0]
        return Selection(
            found,
            upstream,
            rules,
            origins=origins_of(before),
            pins=pins_of(before),
            popular=popular_names() if aged else None,
        )

    return make
