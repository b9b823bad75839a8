"""CVSS vectors: read strictly, each metric once, with values that it has."""

from __future__ import annotations

from collections.abc import Mapping

from casemate.advisories.errors import VectorError

_MAX_CHARS = 512


def metrics_of(
    vector: str, prefix: str, base: Mapping[str, str], further: Mapping[str, str]
) -> dict[str, str]:
    """Return the metrics of a vector. `base` are demanded, `further` allowed; values by letter.

    A value of several letters is written between commas in `further`. Raises VectorError.
    """
    if len(vector) > _MAX_CHARS or not vector.startswith(f"{prefix}/"):
        raise VectorError(f"{vector[:80]!a} does not begin with `{prefix}/`.")
    found: dict[str, str] = {}
    for part in vector[len(prefix) + 1 :].split("/"):
        name, _, value = part.partition(":")
        allowed = base.get(name) or further.get(name)
        if allowed is None or name in found or value not in allowed.split(","):
            raise VectorError(f"{vector[:80]!a}: {part[:20]!a} is not a metric of {prefix}.")
        found[name] = value
    missing = [name for name in base if name not in found]
    if missing:
        raise VectorError(f"{vector[:80]!a} lacks {', '.join(missing)}.")
    return found
