"""What a new lock records: where each package came from, when it was uploaded, who published it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from casemate.model.errors import CasemateError
from casemate.package_index import limits
from casemate.package_index.errors import (
    IndexAnswerError,
    PublisherChangedError,
    UnverifiedError,
)
from casemate.package_index.judging import Rules, exception
from casemate.package_index.listing import Release
from casemate.package_index.origins import Origin, Pin, moment, pins_of, with_origins
from casemate.package_index.policy import Allow
from casemate.package_index.selection import Selection
from casemate.package_index.upstream import Upstream

NOBODY = "nobody"
"""What an exception names as publisher to accept a release that has no attestation."""

Fits = Callable[[str], bool]
"""Tells of a wheel's file name whether the function's interpreter could install it."""


def recorded(
    lock: str,
    selection: Selection,
    upstream: Upstream,
    *,
    before: Mapping[str, Origin],
    held: tuple[Pin, ...],
    fits: Fits,
) -> str:
    """Return a lock with the origins of what it pins.

    Raises PublisherChangedError where a package had a publisher and now has another, or none, and
    UnverifiedError where an attestation does not hold.
    """
    kept = {(pin.package, pin.version, pin.hashes) for pin in held}
    origins = []
    for pin in pins_of(lock):
        known = before.get(pin.package)
        same = (pin.package, pin.version, pin.hashes) in kept
        # A publisher that is only the index's word, in a lock from before, is looked up once more.
        if known is not None and same and (known.verified or known.publisher is None):
            origins.append(known)
            continue
        pinned = known.publisher if known is not None else None
        origin = _origin(pin, selection, upstream, fits, must=pinned is not None and not same)
        if known is not None and same and origin.publisher is None:
            origins.append(known)
            continue
        if pinned is not None:
            _check_publisher(pin, pinned, origin.publisher, selection.rules)
        origins.append(origin)
    return with_origins(lock, origins)


def _origin(
    pin: Pin, selection: Selection, upstream: Upstream, fits: Fits, *, must: bool
) -> Origin:
    """Look up one package. What is no index's (a vendored wheel) has no origin but its hash."""
    named = [each for each in selection.asked(pin.package) if each.sha256 in pin.hashes]
    # Without a wheel of the index, one was built here: then the source is what came from there.
    releases = [each for each in named if each.wheel and fits(each.filename)] or [
        each for each in named if not each.wheel
    ]
    index = selection.index_of(pin.package) if releases else None
    uploaded = [each.uploaded for each in releases if each.uploaded is not None]
    publisher = _publisher(pin, releases, selection.rules, upstream, must=must)
    return Origin(
        package=pin.package,
        version=pin.version,
        index=index.url if index else None,
        uploaded=moment(max(uploaded, default=None)),
        publisher=publisher,
        verified=publisher is not None,
    )


def _publisher(
    pin: Pin, releases: list[Release], rules: Rules, upstream: Upstream, *, must: bool
) -> str | None:
    """Return who published the files, None if one of them has no attestation.

    An index that lists attestations and does not have them is an error only where a publisher was
    known before: until then there is nothing to compare. One that has false ones lies, which is
    an error always, unless an exception accepts the release as one without.
    """
    found: set[str | None] = set()
    for release in releases:
        try:
            found.add(_published(release, rules, upstream))
        except UnverifiedError as error:
            if rules.allows(Allow.ATTESTATION, pin.package, pin.version):
                return None
            how = exception(pin.package, pin.version, Allow.ATTESTATION, rules)
            raise UnverifiedError(
                error.message, next_step=f"{error.next_step} If you know why, {how}"
            ) from error
        except CasemateError:
            if must:
                raise
            return None
    if None in found or not found:
        return None
    return ",".join(sorted(one for one in found if one))


def _published(release: Release, rules: Rules, upstream: Upstream) -> str | None:
    if release.provenance is None:
        return None
    # Not above: a build whose dependencies are known does without it.
    from casemate.package_index.publishers import publisher_of
    from casemate.sigstore import public_good

    told = upstream.document(
        release.provenance,
        accept="application/vnd.pypi.integrity.v1+json, application/json",
        most=limits.MAX_PROVENANCE_BYTES,
    )
    if told is None:
        raise IndexAnswerError(f"The index lists attestations of {release.filename}, and has none.")
    root = rules.trusted or public_good()
    return publisher_of(told[0], release.filename, release.sha256, root)


def _check_publisher(pin: Pin, before: str, now: str | None, rules: Rules) -> None:
    if now == before:
        return
    told = now or NOBODY
    if rules.policy.approves(pin.package, pin.version, told, today=rules.today):
        return
    how = exception(pin.package, pin.version, Allow.PUBLISHER, rules)
    raise PublisherChangedError(
        f"{pin.package} {pin.version} was published by {told}; the one in the lock was "
        f"published by {before}.",
        next_step=f"Find out whether the project moved. If it did, {how} It also names "
        f'publisher = "{told}".',
    )
