"""Code whose counters never come to rest is found, and stands side by side afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from casemate.runner.unsettled import put_side_by_side

PAGE = 4096
SCRIPT = """
from casemate.runner.unsettled import _changed_by, put_side_by_side

class Same:
    value = 1

class Other:
    __slots__ = ("value",)

    def __init__(self):
        self.value = 2

# Of two kinds in turns, so that it can never be specialised; each with much in between.
source = "def each(one):\\n" + 60 * "    same = one\\n" + "    return (one.value, {number})\\n"
made, between = [], []
for number in range(20):
    names = {}
    exec(source.format(number=number), names)
    made.append(names["each"])
    between += [made[-1].__code__.replace() for _ in range(8)]

def settled():
    return 1

kinds = [Same(), Other()]

def once():
    settled()
    for function in made:
        for kind in kinds:
            function(kind)

def rehearse():
    for _ in range(60):
        once()

def pages():
    places = [(id(each.__code__), each.__code__.__sizeof__()) for each in made]
    return len({at // 4096 for start, size in places for at in (start, start + size - 1)})

rehearse()
before, code, settled_code = pages(), made[3].__code__, settled.__code__
assert set(_changed_by(once, made)) == set(made), "it is to count"
count = put_side_by_side(once, rehearse)
assert made[3].__code__ == code and made[3].__code__ is not code
assert settled.__code__ is settled_code, "what counts nothing stays where it is"
assert [function(kinds[1]) for function in made] == [(2, number) for number in range(20)]
del code, between
garbage = [function.__code__.replace() for function in made for _ in range(50)]
del garbage
print(count, before, pages())
"""


def test_functions_that_count_stand_side_by_side_and_work() -> None:
    command = [sys.executable, "-I", "-c", f"import sys; sys.path[:0] = {sys.path!r}{SCRIPT}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    count, before, after = map(int, done.stdout.split())
    assert count >= 20
    assert before > 2 * after, (before, after)
    assert after <= 8  # twenty of some 900 bytes, and what is made with each


BRANCHES = """
import os

from casemate.runner.unsettled import _changed_by, _run_by, put_side_by_side

source = "def each(one):\\n" + 60 * "    same = one\\n"
source += "    if one is None:\\n        return 0\\n    return {number}\\n"
made, between = [], []
for number in range(20):
    names = {}
    exec(source.format(number=number), names)
    made.append(names["each"])
    between += [made[-1].__code__.replace() for _ in range(8)]

def straight():
    return 1

def never():
    return 1 if made else 2

def once():
    straight()
    for function in made:
        function(1)

def rehearse():
    for _ in range(60):
        once()

def pages():
    places = [(id(each.__code__), each.__code__.__sizeof__()) for each in made]
    return len({at // 4096 for start, size in places for at in (start, start + size - 1)})

rehearse()
before, straight_code, never_code = pages(), straight.__code__, never.__code__
assert not _changed_by(once, made), "the same ways were taken, and are noted again"
alone, forks, fork = straight, [], os.fork
os.fork = lambda: forks.append(1) or fork()
ran, ran_alone, ran_again = map(set, _run_by(once, alone, rehearse))
os.fork = fork
assert forks == [1], "what is written to after a fork is copied"
assert {*made, straight} <= ran == ran_again - {rehearse}, "each is told what it runs itself"
assert ran_alone & {*made, straight, once} == {straight} and never not in ran | ran_again
count = put_side_by_side(once, rehearse)
assert straight.__code__ is straight_code and never.__code__ is never_code
assert [function(1) for function in made] == list(range(20))
print(count, before, pages())
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="branches note nothing")
def test_functions_whose_branches_note_the_same_again_stand_side_by_side_too() -> None:
    command = [sys.executable, "-I", "-c", f"import sys; sys.path[:0] = {sys.path!r}{BRANCHES}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    count, before, after = map(int, done.stdout.split())
    assert count >= 20
    assert before > 2 * after, (before, after)


ZYGOTES = """
import sys

from casemate.runner import base, instance, seeding, zygote, zygote_rehearsal
from casemate.runner.unsettled import _functions, put_side_by_side

base._warm()
prepared = zygote.Prepared()
rehearsal = zygote_rehearsal.Rehearsal({"project": "p"}, sys.argv[1])
instance.rehearse(0)
seeding.set_aside()
assert base._PREPARING <= sys.modules.keys(), base._PREPARING - sys.modules.keys()

def own():
    return [each for each in _functions() if each.__module__ in base._PREPARING]

def pages(functions):
    places = [(id(each.__code__), each.__code__.__sizeof__()) for each in functions]
    return len({at // 4096 for start, size in places for at in (start, start + size - 1)})

before, spread = {each: each.__code__ for each in own()}, pages(own())
with instance.rehearsing_calls() as once:
    put_side_by_side(once, lambda: instance.rehearse(0), rehearsal.once, base._PREPARING)
moved = {each for each, code in before.items() if each.__code__ is not code}
assert {zygote.Zygote._serve, zygote_rehearsal.Rehearsal.once} <= moved
rehearsal.once()  # all of it works
print(spread, pages(own()), len(moved))
"""


def test_what_zygotes_alone_run_stands_side_by_side_and_works(tmp_path: Path) -> None:
    code = f"import sys; sys.path[:0] = {sys.path!r}{ZYGOTES}"
    command = [sys.executable, "-I", "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    before, after, moved = map(int, done.stdout.split())
    assert moved > 100
    assert after < 0.7 * before, (before, after)


CALLED = """
from casemate.runner.unsettled import put_side_by_side

def made(module):
    names = {"__name__": module}
    exec("def each(): return 1", names)
    return names["each"]

by_calls, by_both, by_zygotes = made("casemate.a"), made("casemate.a"), made("casemate.a")
a_library_s, a_module_s, never = made("json.a"), made("casemate.b"), made("casemate.a")
every = [by_calls, by_both, by_zygotes, a_library_s, a_module_s, never]
codes = [each.__code__ for each in every]

def once():
    by_calls(), by_both()

def prepare():
    by_both(), by_zygotes(), a_library_s()

put_side_by_side(once, once, prepare, {"casemate.b"})
moved = [each.__code__ is not code for each, code in zip(every, codes)]
assert moved == [False, False, True, False, True, False], moved
assert all(each() == 1 for each in every)
"""


def test_what_calls_run_and_what_libraries_bring_stays_where_it_is() -> None:
    """Who calls a function that was given other code counts from then on: a handler would."""
    command = [sys.executable, "-I", "-c", f"import sys; sys.path[:0] = {sys.path!r}{CALLED}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_is_moved_in_other_interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        name = "pypy"

    def run() -> None:
        raise AssertionError

    with monkeypatch.context() as patched:
        patched.setattr(sys, "implementation", Other)
        assert put_side_by_side(run, run) == 0
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert put_side_by_side(run, run) == 0
