"""Four programs that go through thousands of lines or rows of an event, and do little with each.

`bench.guard_handlers` measures them apart from its twelve handlers: they do nothing beside what the
sink guard takes notes of, so that these cost them most.
"""

from __future__ import annotations

import random
from typing import Any

HEAD = '"""A program that goes through lines."""\n'

LOOPS = {
    "log_analyser": """
import re

LINE = re.compile(r'(\\S+) - (\\S+) \\[([^\\]]+)\\] "([A-Z]+) (\\S+) [^"]*" (\\d{3}) (\\d+)')


def handler(event, data):
    statuses, calls, hosts = {}, {}, set()
    sent, failed = 0, []
    for number, line in enumerate(event["log"].splitlines(), 1):
        found = LINE.match(line)
        if not found:
            continue
        host, user, when, method, path, status, size = found.groups()
        path = path.split("?")[0]
        if path.startswith("/static/") or method not in ("GET", "POST"):
            continue
        statuses[status] = statuses.get(status, 0) + 1
        key = f"{method} {path}"
        calls[key] = calls.get(key, 0) + 1
        sent += int(size)
        if user != "-":
            hosts.add(host)
        if status in ("500", "502", "503"):
            failed.append(f"{number}: {when} {path}")
    top = sorted(calls.items(), key=lambda item: -item[1])[:10]
    return {
        "statuses": statuses, "sent": sent, "hosts": len(hosts), "failed": failed[-20:],
        "top": [f"{name}: {count}" for name, count in top],
    }
""",
    "row_checker": """
import re

CITIES = {"Paris", "Rome", "London", "Oslo", "Lima"}


def handler(event, data):
    faults, seen, total = [], set(), 0.0
    for number, row in enumerate(event["rows"], 1):
        if row["id"] in seen:
            faults.append(f"row {number}: {row['id']} is there twice")
        seen.add(row["id"])
        if row["city"] not in CITIES:
            faults.append(f"row {number}: {row['city']} is no city")
        name = row["name"].strip()
        if not name or not re.match(r"[a-z]+ \\d+$", name):
            faults.append(f"row {number}: {name} is no name")
        mail = row["mail"]
        if "@" not in mail or mail.startswith("@") or not mail.endswith(".example"):
            faults.append(f"row {number}: {mail} is no address")
        if row["state"] == "closed":
            continue
        try:
            total += float(row["price"]) * int(row["count"])
        except ValueError:
            faults.append(f"row {number}: {row['price']} is no price")
    return {"faults": faults[:100], "count": len(faults), "total": round(total, 2)}
""",
    "csv_normaliser": """
def handler(event, data):
    lines = event["table"].split("\\n")
    names = [name.strip().lower() for name in lines[0].split(",")]
    out = [";".join(names)]
    for line in lines[1:]:
        if not line.strip():
            continue
        fields = [field.strip() for field in line.split(",")]
        row = dict(zip(names, fields))
        row["name"] = row["name"].title()
        row["city"] = row["city"].upper()[:3]
        row["price"] = f"{float(row['price']):.2f}"
        row["mail"] = row["mail"].replace(" at ", "@").lower()
        out.append(";".join([row[name] for name in names]))
    return {"table": "\\n".join(out), "rows": len(out) - 1}
""",
    "text_statistics": """
import re

COMMON = {"the", "and", "of", "to", "a", "in", "is", "it", "that", "was"}


def handler(event, data):
    counts, letters, longest = {}, {}, ""
    sentences = 0
    for paragraph in event["text"].split("\\n\\n"):
        for sentence in re.split(r"[.!?]\\s*", paragraph):
            sentence = sentence.strip()
            if not sentence:
                continue
            sentences += 1
            if len(sentence) > len(longest):
                longest = sentence
            for word in sentence.lower().split():
                word = word.strip(",;:'")
                if word in COMMON or not word.isalpha():
                    continue
                counts[word] = counts.get(word, 0) + 1
                letters[word[:1]] = letters.get(word[:1], 0) + 1
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:20]
    return {
        "sentences": sentences, "words": sum(counts.values()), "longest": longest,
        "letters": letters, "top": [f"{word}: {count}" for word, count in top],
    }
""",
}

_CITIES = ("Paris", "Rome", "London", "Oslo", "Lima")
_PATHS = ("/", "/static/a.css", "/orders/17?page=2", "/orders", "/search?q=lamp", "/basket")
_SENTENCE = (
    "the and of to lamp order chair in is Paris it customer was a table, that's delivered; price "
    "weekly report of shop returned because broken customer's parcel street number nobody"
)
_LINES, _ROWS, _SENTENCES = 5000, 5000, 2500


def given(name: str) -> dict[str, Any]:
    """Return the event of one of them, the same each time."""
    chance = random.Random(20261130)
    if name == "log_analyser":
        lines = [
            f"10.0.{chance.randrange(9)}.{chance.randrange(250)} - {chance.choice('-ab')} "
            f"[{n % 28 + 1:02}/Nov/2026:10:{n % 60:02}:00 +0000] "
            f'"{chance.choice(("GET", "POST", "HEAD"))} {chance.choice(_PATHS)} HTTP/1.1" '
            f"{chance.choice((200, 200, 200, 304, 404, 500))} {chance.randrange(90_000)}"
            for n in range(_LINES)
        ]
        return {"log": "\n".join(lines)}
    if name == "text_statistics":
        sentences = [
            " ".join(chance.choices(_SENTENCE.split(), k=12)) + ". " for _ in range(_SENTENCES)
        ]
        parts = ["".join(sentences[n : n + 10]) for n in range(0, _SENTENCES, 10)]
        return {"text": "\n\n".join(parts)}
    rows = [
        {
            **{"id": n, "name": f"customer {chance.randrange(3000)}", "count": str(n % 9)},
            **{"city": chance.choice(_CITIES), "price": f"{chance.random() * 100:.3f}"},
            **{"mail": f"c{n}@shop{n % 7}.example", "state": chance.choice(("open", "closed"))},
        }
        for n in range(_ROWS)
    ]
    if name == "row_checker":
        return {"rows": rows}
    lines = [f"{r['id']}, {r['name']} ,{r['city']},{r['price']},c at x.example" for r in rows]
    return {"table": "\n".join(["Id, Name,City,Price ,Mail", *lines])}
