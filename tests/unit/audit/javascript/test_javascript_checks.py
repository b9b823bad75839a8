"""Checks that hold, and checks that look as if they did."""

from __future__ import annotations

import pytest

from casemate.audit.flow import Entry
from casemate.audit.javascript import analyse, parse

_FETCH = "return fetch(x);"
_READ = "return require('fs').readFileSync('/data/' + x);"
_RUN = "return require('child_process').execSync('ls ' + x);"
_QUERY = "return new (require('pg').Pool)().query(`SELECT ${x}`);"


def weaknesses(check: str, use: str) -> set[str]:
    code = f"exports.handler = async (event) => {{ let x = event.body; {check} {use} }};"
    found = analyse({"a.js": parse("a.js", code)}, [Entry(path="a.js", name="handler")])
    return {flow.weakness for flow in found.flows}


@pytest.mark.parametrize(
    ("check", "use"),
    [
        (r"if (!/^https:\/\/(www|app)\.example\.com\//.test(x)) return;", _FETCH),
        (r"if (!/^https:\/\/([a-z0-9-]+\.)?example\.com\//.test(x)) return;", _FETCH),
        (r"if (!/^https:\/\/[a-z]+\.example\.com\//i.test(x)) return;", _FETCH),
        ("if (!x.startsWith('https://example.com/')) return;", _FETCH),
        ("if (!['example.com'].includes(new URL(x).hostname)) return;", _FETCH),
        ("const { host } = new URL(x); if (host !== 'example.com') return;", _FETCH),
        ("if (x.includes('..')) throw new Error('no');", _READ),
        ("x = require('path').basename(x);", _READ),
        ("x = x.replace(/[^a-z]/g, '');", _RUN),
        ("if (x.match(/^[a-z]+$/) === null) return;", _RUN.replace("x)", "'a')")),
        ("if (!x.match(/^[a-z]+$/)) return;", _RUN),
        ("if (['a', 'b'].indexOf(x) === -1) return;", _RUN),
        ("if (['a', 'b'].indexOf(x) < 0) return;", _RUN),
        ("if (!Number.isInteger(x)) return;", _QUERY),
        ("x = Number(x);", _QUERY),
        ("x = x | 0;", _QUERY),
        ("x = Math.max(1, x);", _QUERY),
        ("x = x.length;", _QUERY),
        ("x = x === 'desc' ? 'desc' : 'asc';", _QUERY),
        ("x = { a: 'b' }[x];", _QUERY),
        ("x = require('mysql').escape(x);", _QUERY),
        ("x = encodeURIComponent(x);", "return fetch('https://a.example/?q=' + x);"),
    ],
)
def test_a_check_that_holds(check: str, use: str) -> None:
    assert weaknesses(check, use) == set()


@pytest.mark.parametrize(
    ("check", "use", "weakness"),
    [
        (r"if (!/^https:\/\/.*\.example\.com\//.test(x)) return;", _FETCH, "url"),
        (r"if (!/^https:\/\/.*example\.com\//.test(x)) return;", _FETCH, "url"),
        (r"if (!/^https:\/\/[a-z]+\.com\//.test(x)) return;", _FETCH, "url"),
        (r"if (!/^https:\/\/[a-z-]+example\.com\//.test(x)) return;", _FETCH, "url"),
        (r"if (!/^https:\/\/www.example.com/.test(x)) return;", _FETCH, "url"),
        (r"if (!/https:\/\/example\.com\//.test(x)) return;", _FETCH, "url"),
        ("if (!x.startsWith('https://example.com')) return;", _FETCH, "url"),
        ("if (!x.includes('example.com')) return;", _FETCH, "url"),
        ("if (!new URL(x).hostname.endsWith('example.com')) return;", _FETCH, "url"),
        ("if (new URL(x).protocol !== 'https:') return;", _FETCH, "url"),
        ("x = x.replace('../', '');", _READ, "path"),
        ("x = x.replace(/\\.\\.\\//g, '');", _READ, "path"),
        ("if (!x.endsWith('.txt')) return;", _READ, "path"),
        ("if (!/^[a-z/.]+$/.test(x)) return;", _READ, "path"),
        ("x = x.replace(/;/, '');", _RUN, "command"),
        ("x = x.replace(/;/g, '');", _RUN, "command"),
        ("if (!/^[a-z]+/.test(x)) return;", _RUN, "command"),
        ("if (!/[a-z]+$/.test(x)) return;", _RUN, "command"),
        ("if (!/^[a-z]+$/m.test(x)) return;", _RUN, "command"),
        ("if (/^[a-z]+$/.test(x)) console.log(x);", _RUN, "command"),
        ("if (['a'].includes(x)) return;", _RUN, "command"),
        ("if (!['a', event.other].includes(x)) return;", _RUN, "command"),
        ("if (['a'].indexOf(x) !== -1) return;", _RUN, "command"),
        ("if (typeof x !== 'string') return;", _RUN, "command"),
        ("if (!x || x.length > 10) return;", _RUN, "command"),
        ("try { JSON.parse(x); } catch (e) { return; }", _RUN, "command"),
        ("const ok = ['a'].includes(x); x = event.other; if (!ok) return;", _RUN, "command"),
        ("x = x.replace(/'/g, \"''\");", _QUERY, "sql"),
        ("x = ['a'].includes(x) ? 'a' : x;", _QUERY, "sql"),
        ("if (!event.list.every((e) => ['a'].includes(e))) return;", _QUERY, "sql"),
        ("if (!x.split(',').some((e) => ['a'].includes(e))) return;", _QUERY, "sql"),
        ("x = Object.keys(JSON.parse(x)).join();", _QUERY, "sql"),
    ],
)
def test_a_check_that_does_not_hold(check: str, use: str, weakness: str) -> None:
    assert weakness in weaknesses(check, use)
