"""The weight of a function does not grow with the number of its zygotes."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from casemate.sandbox.cpu_shares import CpuShares


class Groups:
    """What was written last to each group."""

    def __init__(self) -> None:
        self.weights: dict[str, float] = {}
        self.fault: OSError | None = None

    def weigh(self, name: str, share: float) -> None:
        if self.fault is not None:
            raise self.fault
        self.weights[name] = share


FUNCTIONS = st.sampled_from([("a", "f"), ("a", "g"), ("b", "f")])


@given(st.lists(st.tuples(st.booleans(), FUNCTIONS, st.integers(0, 20)), max_size=40))
def test_the_weights_of_a_function_add_up_to_one(
    steps: list[tuple[bool, tuple[str, str], int]],
) -> None:
    groups = Groups()
    shares = CpuShares(groups)  # type: ignore[arg-type]
    alive: dict[str, tuple[str, str]] = {}
    for number, (starts, function, which) in enumerate(steps):
        if starts or not alive:
            alive[f"z{number}"] = function
            shares.add(f"z{number}", function)
        else:
            name = sorted(alive)[which % len(alive)]
            del alive[name]
            shares.remove(name)
        of = Counter(alive.values())
        assert {n: groups.weights[n] for n in alive} == {n: 1 / of[f] for n, f in alive.items()}


def test_a_group_that_is_going_does_not_stop_the_rest() -> None:
    groups = Groups()
    shares = CpuShares(groups)  # type: ignore[arg-type]
    for name in ("z1", "z2"):
        shares.add(name, ("a", "f"))
    groups.fault = FileNotFoundError()
    shares.remove("z1")
    shares.remove("unknown")


def test_a_node_without_control_groups_weighs_nothing() -> None:
    shares = CpuShares(None)
    shares.add("z1", ("a", "f"))
    shares.remove("z1")


def test_functions_that_are_called_divide_the_weight_of_their_project() -> None:
    groups = Groups()
    shares = CpuShares(groups)  # type: ignore[arg-type]
    for name, function in (("z1", ("a", "f")), ("z2", ("a", "f")), ("z3", ("b", "f"))):
        shares.add(name, function)
    shares.divide("z1", 4)
    shares.divide("z2", 4)
    assert groups.weights == {"z1": 1 / 8, "z2": 1 / 8, "z3": 1.0}
    shares.divide("z1", 1)
    shares.remove("z2")
    assert groups.weights["z1"] == 1.0
    groups.fault = FileNotFoundError()
    shares.divide("z1", 2)
    shares.divide("unknown", 2)
