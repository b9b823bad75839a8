"""Path expressions of JSON, and templates that are filled from more than values."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

PRELOAD = ("jmespath",)

VULNERABLE: Cases = {
    "jmespath": (
        "import jmespath\nreturn jmespath.search(f\"users[?name=='{event['n']}'].email\", {'users':[{'name':'a','email':'e'}]})",
        {"n": "a'] || users[?'1'=='1"},
    ),
    "jmespath whole": (
        "import jmespath\nreturn jmespath.search(event['q'], {'users':[{'name':'a','email':'e'}]})",
        {"q": "users[*].email"},
    ),
    "jmespath compile": (
        "import jmespath\nreturn jmespath.compile('users[?name==`\"' + event['n'] + '\"`]').search({})",
        {"n": 'a"` || `"b'},
    ),
    "Template env": (
        "import string, os\nreturn string.Template(event['t']).safe_substitute(os.environ)",
        {"t": "$HOME ${PATH}"},
    ),
    "Template vars": (
        "import string\nSECRET='x'\nreturn string.Template(event['t']).safe_substitute(globals())",
        {"t": "hello $SECRET"},
    ),
    "Template kw": (
        "import string, os\nreturn string.Template('Hi '+event['t']).safe_substitute(**os.environ)",
        {"t": "$HOME"},
    ),
}

SAFE: Cases = {
    "jmespath": (
        "import jmespath\nreturn jmespath.search(f\"users[?name=='{event['n']}'].email\", {'users':[{'name':'a','email':'e'}]})",
        {"n": "Ada Lovelace"},
    ),
    "jmespath const": (
        "import jmespath\nreturn jmespath.search('users[*].email', event)",
        {"users": [{"name": "a", "email": "users[*]"}]},
    ),
    "jmespath key": (
        "import jmespath\nreturn jmespath.search(event['k'], {'name': 1})",
        {"k": "name"},
    ),
    "Template values": (
        "import string\nreturn string.Template(event['t']).safe_substitute(name='Ada', total=3)",
        {"t": "$HOME ${name}"},
    ),
    "Template own env": (
        "import string, os\nreturn string.Template('$HOME').safe_substitute(os.environ)",
        {"t": "$HOME!"},
    ),
    "Template data": (
        "import string\nreturn string.Template('Hi $name').substitute(event)",
        {"name": "$HOME", "x": [1]},
    ),
    "redis url": (
        "import redis\nreturn repr(redis.Redis.from_url('redis://127.0.0.1:6379/0').connection_pool)[:5]",
        {"t": "$HOME!"},
    ),
}


def test_attacks_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, VULNERABLE, {"nosql", "template"}, PRELOAD)


def test_harmless_uses_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, SAFE, PRELOAD)
