"""scripts/bootstrap: what it says and does on hosts that lack something.

Each test runs the script in a small checkout of its own with a PATH that holds only what the test
names; a full run on bare systems is the business of CI.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
ALWAYS_THERE = ("bash", "cat", "cut", "dirname", "env", "flock", "grep", "rm", "sha256sum", "uname")

TEST_PROGRAMS = ("cc", "valkey-server", "rabbitmq-server", "mosquitto", "nats-server", "promtool")
SERVERS = ("tests/support/oidc", "tests/support/s3")
DATABASES = list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
MOMENTS = " ".join(str(number) for number in range(100))


class Host:
    """A small checkout and the programs that are there."""

    def __init__(self, folder: Path) -> None:
        """Make the checkout; only the basic programs are there."""
        self.checkout, self.bin = folder / "checkout", folder / "bin"
        (self.checkout / "scripts").mkdir(parents=True)
        self.bin.mkdir()
        for name in ("pyproject.toml", "uv.lock", "scripts/bootstrap"):
            shutil.copyfile(ROOT / name, self.checkout / name)
        for name in ALWAYS_THERE:
            found = shutil.which(name)
            assert found is not None, name
            (self.bin / name).symlink_to(found)
        self.program("id", 'echo "${FAKE_UID:-0}"')

    def program(self, name: str, script: str) -> None:
        """Add a program, or replace it."""
        path = self.bin / name
        path.unlink(missing_ok=True)  # what is written through a link would be the host's own
        path.write_text(f"#!{self.bin}/bash\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    def made_venv(self) -> None:
        """Add a .venv as an earlier run would have left it, but for its stamp."""
        venv_bin = self.checkout / ".venv" / "bin"
        venv_bin.mkdir(parents=True)
        # A link would lead Python to its own folder for the lock's version of uv.
        for name, script in (
            ("python", f'exec "{sys.executable}" "$@"'),
            ("uv", self.fake_uv()),
        ):
            (venv_bin / name).write_text(f"#!{self.bin}/bash\n{script}\n", encoding="utf-8")
            (venv_bin / name).chmod(0o755)
        (venv_bin / "activate").write_text(f"VIRTUAL_ENV={venv_bin.parent}\n", encoding="utf-8")

    def fake_uv(self) -> str:
        """Return a uv that has the version of the lock and notes each sync."""
        lock = (ROOT / "uv.lock").read_text(encoding="utf-8")
        version = lock.partition('name = "uv"\nversion = "')[2].partition('"')[0]
        return f'[ "$1" = --version ] && echo "uv {version}" || echo "$*" >> "{self.syncs}"'

    @property
    def syncs(self) -> Path:
        """Return the file in which the fake uv notes what it was called with."""
        return self.checkout / "syncs"

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the script without a terminal."""
        return subprocess.run(
            [self.bin / "bash", "scripts/bootstrap", *arguments],
            check=False,
            cwd=self.checkout,
            env={"PATH": str(self.bin), "HOME": str(self.checkout), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Return a host without bubblewrap, Python and apt-get."""
    return Host(tmp_path)


def test_names_what_is_missing_where_there_is_no_apt(host: Host) -> None:
    done = host.run()
    assert done.returncode == 1
    assert "missing: bubblewrap" in done.stderr
    assert "found none" in done.stderr


def test_names_what_is_missing_to_a_user_without_sudo(host: Host) -> None:
    host.program("apt-get", "echo called >&2; exit 1")
    done = host.run(FAKE_UID="1000")
    assert done.returncode == 1
    assert "as root, run: apt-get install bubblewrap" in done.stderr
    assert "called" not in done.stderr


def test_does_not_wait_for_a_password_without_a_terminal(host: Host) -> None:
    host.program("apt-get", "exit 1")
    host.program("sudo", '[ "$1" = -n ] && exit 1; echo asked >&2; read -r _')
    done = host.run(FAKE_UID="1000")
    assert done.returncode == 1
    assert "Next: sudo apt-get install bubblewrap" in done.stderr
    assert "asked" not in done.stderr


def test_installs_only_what_is_missing_and_asks_nothing(host: Host) -> None:
    host.program("apt-get", 'echo "apt $DEBIAN_FRONTEND $*" >&2; [ "$4" != install ]')
    host.program("wrk", "")
    host.program("valkey-server", "")
    done = host.run("bench")
    assert done.returncode == 1
    (installed,) = [line for line in done.stderr.splitlines() if " install -y " in line]
    assert installed.startswith("apt noninteractive")
    assert installed.endswith(" bubblewrap")
    assert "could not install: bubblewrap" in done.stderr


def test_goes_on_when_lists_cannot_be_updated(host: Host) -> None:
    log = host.checkout / "apt.log"
    host.program("apt-get", f'echo "$*" >> "{log}"; case "$*" in *update) exit 100;; esac')
    host.program("apt-cache", "exit 1")
    done = host.run()
    assert "going on with the lists there are" in done.stderr
    assert "install -y --no-install-recommends bubblewrap" in log.read_text(encoding="utf-8")


def test_passes_over_pythons_that_are_too_old(host: Host) -> None:
    host.program("bwrap", "")
    host.program("python3", "exit 0")  # prints no version: not a supported one
    host.program("apt-get", 'echo "$*" >&2')
    host.program("apt-cache", '[ "$2" = python3.11 ]')
    done = host.run()
    assert done.returncode == 1
    assert "install -y --no-install-recommends python3.11 python3.11-venv" in done.stderr
    assert "still no Python 3.11 to 3.14" in done.stderr


def test_installs_what_debian_leaves_out_of_python(host: Host) -> None:
    host.program("bwrap", "")
    host.program("python3", 'case "$*" in *ensurepip*) exit 1;; *version_info*) echo 13;; esac')
    host.program("apt-get", 'echo "$*" >&2')
    done = host.run()
    assert done.returncode == 1
    assert "install -y --no-install-recommends python3.13-venv" in done.stderr
    assert "has no ensurepip" in done.stderr


def test_takes_the_distribution_s_python_before_others(host: Host) -> None:
    host.program("bwrap", "")
    host.program("python3", f'exec "{sys.executable}" "$@"')
    host.program("rm", 'case "$*" in -rf*) exit 1;; esac')  # what is chosen is not made
    own = host.run()
    assert f"({host.bin}/python3)" in own.stderr
    beside = host.run(PATH=f"{host.bin}:/usr/bin")
    supported = [
        name
        for name in ("python3", *(f"python3.{minor}" for minor in (13, 12, 11, 14)))
        if (Path("/usr/bin") / name).exists() and minor_of(Path("/usr/bin") / name) in range(11, 15)
    ]
    chosen = f"/usr/bin/{supported[0]}" if supported else f"{host.bin}/python3"
    assert f"({chosen})" in beside.stderr


def minor_of(python: Path) -> int:
    """Return the minor version of an interpreter."""
    command = [python, "-I", "-c", "import sys; print(sys.version_info[1])"]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_refuses_an_interpreter_that_is_none(host: Host) -> None:
    host.program("bwrap", "")
    done = host.run(CASEMATE_PYTHON=str(host.bin / "cat"))
    assert done.returncode == 1
    assert "no Python 3.11 to 3.14" in done.stderr


def test_refuses_an_argument_that_it_does_not_know(host: Host) -> None:
    done = host.run("--help-me")
    assert done.returncode == 1
    assert "expected nothing, test or bench" in done.stderr


def test_does_nothing_and_says_nothing_until_something_changes(host: Host) -> None:
    host.program("bwrap", "")
    host.made_venv()
    first = host.run()
    assert first.returncode == 0, first.stderr
    assert "Ready" in first.stderr
    assert host.syncs.read_text(encoding="utf-8").count("sync --frozen") == 1
    again = host.run()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert host.syncs.read_text(encoding="utf-8").count("sync") == 1
    with (host.checkout / "uv.lock").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert host.run().returncode == 0
    assert host.syncs.read_text(encoding="utf-8").count("sync") == 2


def test_says_every_five_seconds_what_it_waits_for(host: Host) -> None:
    host.program("bwrap", "")
    host.made_venv()
    uv = host.checkout / ".venv" / "bin" / "uv"
    slow = f"{sys.executable} -c 'import time; time.sleep(5.5)'"
    works = uv.read_text(encoding="utf-8")
    uv.write_text(works.replace("|| echo", f"|| {slow} && echo"), encoding="utf-8")
    done = host.run()
    assert done.returncode == 0, done.stderr
    assert "    ... uv installs packages, for 5 s\n" in done.stderr


@pytest.fixture
def tested(host: Host) -> Host:
    """Return a host that has all but what npm installs, and a .venv to be made current."""
    for name in (*TEST_PROGRAMS, "bwrap"):
        host.program(name, "")
    for name in SERVERS:
        (host.checkout / name).mkdir(parents=True)
        (host.checkout / name / "package-lock.json").write_text("{}", encoding="utf-8")
    host.made_venv()
    return host


@pytest.mark.skipif(not DATABASES, reason="the distribution's PostgreSQL is not there")
def test_npm_installs_while_uv_does(tested: Host) -> None:
    wait = f"{sys.executable} -c 'import time; time.sleep(0.1)'"
    installs = f'for n in {MOMENTS}; do [ ! -e "{tested.syncs}" ] || exit 0; {wait}; done; exit 1'
    tested.program("npm", f'echo "$3" >>npm; {installs}')
    done = tested.run("test")
    assert done.returncode == 0, done.stderr
    asked = (tested.checkout / "npm").read_text(encoding="utf-8").split()
    assert sorted(asked) == sorted(SERVERS)


@pytest.mark.skipif(not DATABASES, reason="the distribution's PostgreSQL is not there")
@pytest.mark.parametrize("fails", SERVERS)
def test_says_which_step_failed_where_npm_does(tested: Host, fails: str) -> None:
    tested.program("npm", f'[ "$3" != {fails} ] || {{ echo "no registry" >&2; exit 1; }}')
    done = tested.run("test")
    assert done.returncode == 1
    assert "no registry" in done.stderr
    assert "npm could not install the servers" in done.stderr


def test_starts_again_after_a_failure(host: Host) -> None:
    host.program("bwrap", "")
    host.made_venv()
    assert host.run().returncode == 0
    uv = host.checkout / ".venv" / "bin" / "uv"
    works = uv.read_text(encoding="utf-8")
    uv.write_text(works.replace("|| echo", "|| false echo"), encoding="utf-8")
    with (host.checkout / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    failed = host.run()
    assert failed.returncode == 1
    assert "could not install the packages of uv.lock" in failed.stderr
    uv.write_text(works, encoding="utf-8")
    assert "Ready" in host.run().stderr


def test_a_checkout_that_was_moved_is_made_anew(host: Host) -> None:
    host.program("bwrap", "")
    host.made_venv()
    assert host.run().returncode == 0
    moved = host.checkout.with_name("moved")
    host.checkout.rename(moved)
    host.checkout = moved
    # What its commands start with is the path of before, which nothing but a new one mends.
    host.program(
        "python3", f'case "$*" in *"-m venv"*) exit 1;; esac; exec "{sys.executable}" "$@"'
    )
    done = host.run()
    assert "Making .venv" in done.stderr
    assert "could not be made" in done.stderr


def test_an_active_environment_of_somebody_else_is_left_alone(host: Host) -> None:
    host.program("bwrap", "")
    host.made_venv()
    uv = host.checkout / ".venv" / "bin" / "uv"
    text = uv.read_text(encoding="utf-8")
    uv.write_text(text.replace('echo "$*"', 'echo "$* venv=${VIRTUAL_ENV-none}"'), encoding="utf-8")
    done = host.run(VIRTUAL_ENV="/somewhere/else", PYTHONHOME="/nowhere", PYTHONPATH="/nowhere")
    assert done.returncode == 0, done.stderr
    assert "venv=none" in host.syncs.read_text(encoding="utf-8")
