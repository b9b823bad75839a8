"""Run programs whose author has not read the sink guard under it: `python -m bench.guard_blind`.

    python -m bench.guard_blind FOLDER [--only NAME]... [--json | --node]

FOLDER has a folder for each program: `handler.py`, what it needs beside it, and `cases.json`:
`{"sink": "sql", "requires": ["flask"], "cases": [{"event": {}, "kind": "attack", "why": ""}]}`,
where a kind is `attack` or `harmless`. Each runs in a sandbox without a network, with `requires`
installed as wheels below `bench/.peers`, and each event in a fork, by the code that serves it in an
instance. How is counted:

- An attack is stopped only if the guard ended the invocation as blocked. One that ends by an
  error of the handler or a library counts as missed.
- A harmless event is refused if the guard blocked it, its answer was withheld, or it met an error
  that it does not meet without the guard.
- A program that cannot be imported without the guard counts for nothing, and is named. No case is
  left out because of what came of it.

With `--node` the programs that need no packages are functions of a node, see `guard_blind_node`.

Exit codes: 0 measured, whether or not targets are met; 1 something could not be measured; 2 wrong
usage.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import guard_blind_node as of_node
from bench.environment import INTERPRETER, PEERS, uv
from bench.errors import BenchError
from bench.figures import wilson
from bench.guard_blind_programs import ATTACK, HARMLESS, Case, Program, ProgramError, read
from casemate.build.bubblewrap import Mount, run_step
from casemate.model.errors import CasemateError

BENCH = Path(__file__).resolve().parent
OURS = BENCH.parent / "src" / "casemate"
ALTERNATIVES = Path("/etc/alternatives")
"""Where Debian's programs such as `awk` lead; without it they are not there."""
TARGET_STOPPED, TARGET_REFUSED = 0.97, 0.005
_SECONDS = 600.0
_AGAIN = 6
"""Runs without the guard that show whether a program answers otherwise by itself."""
_BOOT = (
    "import sys; sys.path.insert(0, '/casemate'); "
    "from guard_blind_child import main; main({mode!r})"
)
_ENVIRONMENT = {
    **{"HOME": "/tmp", "TMPDIR": "/tmp", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"},
    **{"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    **{"CASEMATE_PROJECT": "trial", "CASEMATE_FUNCTION": "trial"},
}


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a case with the guard, and how it ended without."""

    case: Case
    outcome: str
    plain: str
    told: str = ""
    sink: str = ""
    place: str = ""
    changed: str = ""
    differs: bool = False
    """Whether it was let through and answered otherwise than without the guard, each time."""

    @property
    def ran(self) -> bool:
        """Whether the program is one that can be run at all."""
        return self.plain != "not-loaded"

    @property
    def held_up(self) -> bool:
        """Whether it was stopped, as an attack is to be and nothing else."""
        if self.case.kind == ATTACK:
            return self.outcome == "blocked"
        return self.outcome != "ok" and (
            self.outcome in ("blocked", "exposed") or self.plain == "ok"
        )


def installed(requires: Iterable[str]) -> tuple[Path, dict[str, str]]:
    """Return the folder with packages, and why some could not be installed, by their names."""
    wanted = sorted(set(requires))
    folder = PEERS / "guard_blind" / hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:16]
    mark = folder.with_suffix(".json")
    if mark.exists():
        return folder, json.loads(mark.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    command = [uv(), "pip", "install", "--quiet", "--only-binary", ":all:"]
    command += ["--python", str(INTERPRETER.path), "--target", str(folder), "--"]
    failed: dict[str, str] = {}
    if wanted and subprocess.run([*command, *wanted], capture_output=True, check=False).returncode:
        for one in wanted:  # together they cannot be, so each for itself
            done = subprocess.run([*command, one], capture_output=True, text=True, check=False)
            if done.returncode:
                failed[one] = done.stderr.strip()[-300:]
    subprocess.run(
        [str(INTERPRETER.path), "-m", "compileall", "-q", str(folder)],
        capture_output=True,
        check=False,
    )
    mark.write_text(json.dumps(failed))
    return folder, failed


def answers(program: Program, packages: Path, mode: str) -> list[dict[str, str]]:
    """Return what came of each case of a program, with the guard `on` or `off`."""
    parts = ("runner", "guard", "kernel")
    mounts = [
        *(Mount(host=OURS / name, inside=f"/casemate/casemate/{name}") for name in parts),
        Mount(host=BENCH / "guard_blind_child.py", inside="/casemate/guard_blind_child.py"),
        Mount(host=program.folder.resolve(), inside="/function/code"),
        Mount(host=packages, inside="/function/deps"),
        Mount(host=Path("/usr"), inside="/usr"),
        Mount(host=Path("/bin"), inside="/bin"),
        *(Mount(host=one, inside=str(one)) for one in (ALTERNATIVES,) if one.is_dir()),
    ]
    finished = run_step(
        INTERPRETER,
        [str(INTERPRETER.path), "-I", "-S", "-B", "-c", _BOOT.format(mode=mode)],
        mounts=mounts,
        environment=_ENVIRONMENT,
        folder="/function/code",
        network=False,
        timeout=_SECONDS,
        stdin=json.dumps([case.event for case in program.cases]).encode(),
    )
    found = [json.loads(line) for line in finished.output.splitlines()]
    if len(found) != len(program.cases):
        what = f"{len(found)} answers to {len(program.cases)} cases"
        raise ProgramError(f"{program.folder.name}: {what}: {finished.errors.strip()[-500:]}")
    return found


def run(program: Program, packages: Path) -> list[Result]:
    """Return what came of each case of a program, in their order."""
    on, off = (answers(program, packages, mode) for mode in ("on", "off"))
    differing = [
        number
        for number, (guarded, plain) in enumerate(zip(on, off, strict=True))
        if guarded["outcome"] == plain["outcome"] == "ok"
        and guarded.get("answer") != plain.get("answer")
    ]
    # A clock and the order of a set answer otherwise by themselves, so it is asked again.
    for _ in range(_AGAIN if differing else 0):
        again = answers(program, packages, "off")
        differing = [n for n in differing if again[n].get("answer") == off[n].get("answer")]
    return [
        Result(
            case=case,
            outcome=guarded["outcome"],
            plain=plain["outcome"],
            told=guarded["told"] or plain["told"],
            differs=case.number - 1 in differing,
            **{name: guarded.get(name, "") for name in ("sink", "place", "changed")},
        )
        for case, guarded, plain in zip(program.cases, on, off, strict=True)
    ]


def measured(programs: Sequence[Program], packages: Path, jobs: int) -> list[Result]:
    """Return what came of every case, telling of each program that is done."""
    found: list[Result] = []
    with ThreadPoolExecutor(jobs) as pool:
        for number, results in enumerate(pool.map(lambda p: run(p, packages), programs), 1):
            sys.stderr.write(f"{number} of {len(programs)}: {results[0].case.program}\n")
            found += results
    return found


def figures(results: Sequence[Result]) -> dict[str, dict[str, int]]:
    """Return by sink, and for `all`, how many cases there were and how many were held up."""
    counted: dict[str, dict[str, int]] = {}
    for result in results:
        if not result.ran:
            continue
        for name in (result.case.sink, "all"):
            empty = {"attacks": 0, "stopped": 0, "harmless": 0, "refused": 0}
            row = counted.setdefault(name, empty)
            of, held = (
                ("attacks", "stopped") if result.case.kind == ATTACK else ("harmless", "refused")
            )
            row[of] += 1
            row[held] += result.held_up
    return counted


def _line(result: Result) -> str:
    case = result.case
    what = "missed" if case.kind == ATTACK else "refused"
    where = f"{result.sink} at {result.place}: {result.changed}" if result.sink else result.told
    ended = f"{result.outcome}, without the guard {result.plain}"
    return f"- {what}: {case.program} {case.number} ({case.sink}): {case.why}\n  {ended}; {where}"


def report(results: Sequence[Result]) -> str:
    """Return the figures as a table, with targets, and each case that did not go as it should."""
    counted = figures(results)
    everything = counted.get("all", {"attacks": 0, "stopped": 0, "harmless": 0, "refused": 0})
    lines = ["| sink | attacks | stopped | harmless | refused |", "|---|---|---|---|---|"]
    for name in sorted(counted, key=lambda name: (name == "all", name)):
        lines.append(f"| {name} | " + " | ".join(str(n) for n in counted[name].values()) + " |")
    lines.append("")
    for of, held, target in (
        ("attacks", "stopped", f"at least {TARGET_STOPPED:.1%}"),
        ("harmless", "refused", f"at most {TARGET_REFUSED:.1%}"),
    ):
        least, most = wilson(everything[held], everything[of])
        share = everything[held] / everything[of] if everything[of] else 0.0
        lines.append(
            f"{of} {held}: {everything[held]} of {everything[of]}, {share:.2%} "
            f"(95 % interval {least:.2%} to {most:.2%}; target {target})"
        )
    wrong = [one for one in results if one.ran and one.held_up != (one.case.kind == ATTACK)]
    lines += ["", *map(_line, wrong)]
    left = {one.case.program: one.told for one in results if not one.ran}
    lines += [f"- could not be run, not counted: {name}: {told}" for name, told in left.items()]
    failing = [
        one for one in results if one.ran and one.case.kind == HARMLESS and one.plain != "ok"
    ]
    lines += [
        f"- harmless, but ends without the guard as {one.plain}: {one.case.program} "
        f"{one.case.number}: {one.told}"
        for one in failing
    ]
    lines += [
        f"- answers otherwise than without the guard: {one.case.program} {one.case.number}"
        for one in results
        if one.differs
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code."""
    grammar = argparse.ArgumentParser(
        prog="python -m bench.guard_blind",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    grammar.add_argument("folder", type=Path, help="folder with a folder for each program")
    grammar.add_argument("--only", action="append", metavar="NAME", help="this program alone")
    grammar.add_argument("--jobs", type=int, default=2, metavar="N", help="at once (default 2)")
    shown = grammar.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="print JSON")
    shown.add_argument("--node", action="store_true", help="as functions of a node, not by itself")
    chosen = grammar.parse_args(arguments)
    if not 1 <= chosen.jobs <= 64:
        grammar.error(f"--jobs got {chosen.jobs}; 1 to 64 is expected")
    found = sorted(chosen.folder.glob("*/cases.json"))
    folders = [file.parent for file in found if not chosen.only or file.parent.name in chosen.only]
    if not folders:
        grammar.error(f"{chosen.folder} has no folder with a cases.json; see --help")
    try:
        programs = [read(folder) for folder in folders]
        if chosen.node:
            plain = [program for program in programs if not program.requires]
            print(of_node.report(of_node.outcomes(plain), len(programs) - len(plain)))
            return 0
        packages, failed = installed(one for program in programs for one in program.requires)
        for name, why in failed.items():
            sys.stderr.write(f"{name} could not be installed: {why}\n")
        results = measured(programs, packages, chosen.jobs)
    except (ProgramError, BenchError, CasemateError, OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"could not be measured: {error}\n")
        return 1
    if chosen.json:
        told = [
            asdict(one) | {"right": one.held_up == (one.case.kind == ATTACK)} for one in results
        ]
        print(json.dumps({"figures": figures(results), "results": told}, indent=1))
        return 0
    print(report(results))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
