"""What a twenty-sixth set of programs by others showed. Each has its hostile twins."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

# -- a variable that the process has itself --------------------------------------------------------

ENVIRONMENT = (
    "import os, subprocess\n\n"
    "os.environ['PYTHONDONTWRITEBYTECODE'] = '1'\n\n"
    "def handler(event, context):\n    {}\n"
    "    given = {{**os.environ, 'HOME': '/tmp'{}}}\n"
    "    done = subprocess.run('echo hello', shell=True, env=given, capture_output=True)\n"
    "    return [done.stdout.decode(), event['limit']]\n"
)


def test_what_the_environment_has_itself_is_no_events(tmp_path: Path) -> None:
    assert_passes(
        tmp_path,
        {
            "the same": (ENVIRONMENT.format("pass", ""), {"limit": "1"}),
            "another": (ENVIRONMENT.format("pass", ""), {"limit": "2"}),
        },
        (),
    )


def test_what_an_event_puts_there_is_stopped_as_before(tmp_path: Path) -> None:
    own = "os.environ['LD_PRELOAD'] = event['limit']"
    given = ", 'LD_PRELOAD': event['limit']"
    another = "os.environ = {**os.environ, 'LD_PRELOAD': event['limit']}"
    assert_blocked(
        tmp_path,
        {
            "given": (ENVIRONMENT.format("pass", given), {"limit": "/tmp/x.so"}),
            "set and given": (ENVIRONMENT.format(own, given), {"limit": "/tmp/x.so"}),
            "set": (ENVIRONMENT.format(own, ""), {"limit": "/tmp/x.so"}),
            "another mapping": (ENVIRONMENT.format(another, ""), {"limit": "/tmp/x.so"}),
        },
        {"command"},
        (),
    )


# -- what is handed to code on the command line ----------------------------------------------------

PYTHON = (
    "import subprocess, sys\n\ndef handler(event, context):\n"
    "    code = 'import sys; print(sys.argv[-1])'\n"
    "    command = [sys.executable, {}]\n"
    "    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)\n"
    "    return done.stdout\n"
)


def _pythons(arguments: dict[str, str], text: str) -> Cases:
    return {
        name: (PYTHON.format(given), {"text": text, "code": text})
        for name, given in arguments.items()
    }


def test_options_end_with_code_of_the_programs_own(tmp_path: Path) -> None:
    places = {
        "alone": "'-c', code, event['text']",
        "behind a number": "'-c', code, '7', event['text']",
        "with options": "'-I', '-c', code, event['text']",
    }
    assert_passes(tmp_path, _pythons(places, "--help / -c"), ())


def test_options_elsewhere_are_the_programs(tmp_path: Path) -> None:
    places = {
        "before": "event['text'], '-c', code",
        "the code": "'-c', event['code']",
        "of a module": "'-m', 'json.tool', event['text']",
        "of a script": "'/tmp/tool.py', event['text']",
    }
    assert_blocked(tmp_path, _pythons(places, "--help"), {"command"}, ())


# -- records that say in capitals what they are of -------------------------------------------------

PRINTED = {
    "by itself": "print(f\"CHANGE Seal food: {event['food']}\")",
    "several at once": (
        "print(''.join(f\"CHANGE {n} food: {event['food']}\\n\" for n in ('Seal', 'Lion')), end='')"
    ),
    "kept in memory": (
        "out = io.StringIO(); out.write(f\"CHANGE Seal food: {event['food']}\\n\"); "
        "print(out.getvalue(), end='')"
    ),
    "as fields": "print(f\"PAID|plate={event['food']}\")",
}


def _printed(food: str) -> Cases:
    code = "import io\n\ndef handler(event, context):\n    {}\n    return len(event['food'])\n"
    return {name: (code.format(line), {"food": food}) for name, line in PRINTED.items()}


def test_a_record_that_begins_as_the_codes_own_is_stopped(tmp_path: Path) -> None:
    cases = _printed("fish\nCHANGE Lion kilos: 7.5 -> 0.0\nPAID|plate=EVIL")
    assert_blocked(tmp_path, cases, {"log"}, ())


def test_texts_of_several_lines_are_printed(tmp_path: Path) -> None:
    cases = _printed("fish; or\nbeef, no CHANGE\n\nCHANGED our mind\nPAIDOFF | NOTE: 7")
    assert_passes(tmp_path, cases, ())


# -- functions that the code knows by another name -------------------------------------------------

DUTY = (
    "{}\nimport ldap3\n\ndef handler(event, context):\n"
    "    connection = ldap3.Connection('ldap://127.0.0.1')\n"
    "    found = '(&(objectClass=group)(ou=%s))' % {}\n"
    "    connection.search('dc=clinic', found)\n    return found\n"
)
ESCAPED = "from ldap3.utils.conv import escape_filter_chars as esc"


def test_an_escape_under_another_name_is_one(tmp_path: Path) -> None:
    assert_passes(
        tmp_path,
        {
            group: (DUTY.format(ESCAPED, "esc(event['group'])"), {"group": group})
            for group in ("CLINIC\\night", "Ward 4 (children's)", "*)(objectClass=*")
        },
        ("ldap3",),
    )


def test_another_function_under_such_a_name_is_none(tmp_path: Path) -> None:
    own = "def esc(text):\n    return text.strip()\n"
    assert_blocked(
        tmp_path,
        {
            "own": (DUTY.format(own, "esc(event['group'])"), {"group": "*)(objectClass=*"}),
            "none": (DUTY.format(ESCAPED, "event['group']"), {"group": "*)(objectClass=*"}),
        },
        {"ldap"},
        ("ldap3",),
    )
