"""Generators of random numbers have new seeds in each call, whoever asks for one, and when."""

from __future__ import annotations

import random
import ssl
import subprocess
import sys
from types import ModuleType

import pytest

from casemate.runner import seeding


def _in_child(code: str) -> str:
    start = f"import sys; sys.path[:0] = {sys.path!r}\nfrom casemate.runner import seeding\n"
    command = [sys.executable, "-I", "-c", start + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_seeds_are_new() -> None:
    random.seed(5)
    random.gauss()
    first, second = random.gauss(), random.random()
    random.seed(5)
    random.gauss()
    seeding.reseed()
    assert random.gauss() != first
    random.seed(5)
    seeding.reseed()
    assert random.random() != second
    assert ssl.RAND_status()


def test_numpy_gets_new_seeds_as_well() -> None:
    numpy = pytest.importorskip("numpy")
    numpy.random.seed(5)
    first = numpy.random.random()
    numpy.random.seed(5)
    seeding.reseed()
    assert numpy.random.random() != first


def test_another_module_in_its_place_is_seeded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    other = ModuleType("random")
    other.__dict__.update(_inst=random.Random(5), seed=seeds.append)
    monkeypatch.setitem(sys.modules, "random", other)
    random.seed(5)
    first = random.random()
    random.seed(5)
    seeding.reseed()
    assert len(seeds) == 1 and random.random() != first


ASIDE = """
import os, random
kept, spec = [random], random.__spec__  # where nobody looks who asks whether it is held
del random
assert seeding.set_aside() and "random" not in sys.modules
def was(): return kept[0]
def state():
    return was().getstate()[1][:9]
was().seed(5)
untouched = state()
seeding.reseed()
print("left alone", state() == untouched)

def of_a_call(way):
    # As restored: the same memory each time, in which a call begins.
    found, theirs = os.pipe()
    if not os.fork():
        was().seed(5)
        seeding.reseed()
        names = {}
        exec(way, names)
        os.write(theirs, repr(names["drawn"]).encode()); os._exit(0)
    os.wait()
    return os.read(found, 999)

for way in ("import random; drawn = random.random()",
            "from random import random; drawn = random()",
            "import importlib; drawn = importlib.import_module('random').random()",
            "import sys; sys.meta_path[:] = sys.meta_path[1:]; import random; "
            "drawn = random.random()"):
    print(of_a_call(way) != of_a_call(way))
from random import random
import random as again
print(again is was() and was().__spec__ is spec and again.random is random)
was().seed(5)
was().gauss(0, 1)
seeding.reseed()
print("seeded from then on", state() != untouched, was()._inst.gauss_next)
del sys.modules["random"], again
was().seed(5)
seeding.reseed()
print("also once it is hidden again", state() != untouched)
"""


def test_who_never_asks_is_not_seeded_and_who_does_always_is() -> None:
    assert _in_child(ASIDE).splitlines() == [
        "left alone True",
        *["True"] * 5,
        "seeded from then on True None",
        "also once it is hidden again True",
    ]


@pytest.mark.parametrize(
    "holding", ["import random as part", "from random import choice as part", "part = random._inst"]
)
def test_it_stays_where_it_is_if_somebody_holds_a_part_of_it(holding: str) -> None:
    code = f"""
import random, types
module = types.ModuleType("theirs"); module.random = random
exec({holding!r}, vars(module)); part = module.part; del module.random, random
holder = types.ModuleType("holder"); holder.part = part; sys.modules["holder"] = holder
del part
print(seeding.set_aside(), "random" in sys.modules)
"""
    assert _in_child(code) == "False True"
