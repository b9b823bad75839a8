"""Which names hold the outcome of a condition: by scope, and apart on each way."""

from __future__ import annotations

from casemate.audit.flow.state import State, Test

TEST: Test = ("x in y", frozenset(("x", "y")))


class Untouched(dict[str, Test]):
    """Names of another scope, which nobody has to go through."""

    def items(self) -> object:  # type: ignore[override]
        raise LookupError


def test_a_name_with_another_value_forgets_what_is_about_it_in_its_scope() -> None:
    state = State()
    state.hold(1, "ok", TEST)
    state.hold(1, "fine", ("z", frozenset("z")))
    state.hold(2, "ok", TEST)
    state.stored(1, "x")
    assert state.test(1, "ok") is None
    assert state.test(1, "fine") is not None and state.test(2, "ok") == TEST
    state.stored(1, "fine")
    state.stored(2, "ok")
    assert not state.tests


def test_what_one_way_forgets_another_still_knows() -> None:
    one = State()
    one.hold(1, "ok", TEST)
    other = one.copy()
    one.stored(1, "y")
    other.hold(1, "more", TEST)
    assert one.test(1, "ok") is None and one.test(1, "more") is None
    assert other.test(1, "ok") == TEST
    other.hold(1, "ok", None)
    assert other.test(1, "ok") is None and other.test(1, "more") == TEST


def test_a_name_of_one_scope_costs_nothing_of_others() -> None:
    state = State()
    state.hold(1, "ok", TEST)
    state.tests[2] = Untouched(ok=TEST)
    state.stored(1, "x")
    state.stored(3, "x")
    assert list(state.tests) == [2]
