"""Which attack each rule of detection finds: one that is played on the node, or one on record.

A rule whose attack would harm the node, or needs days, other machines or other people, is run over
the attack that it comes with; it is said of each why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from casemate.detection import shipped_rules
from casemate.drills.actors import Actors
from casemate.drills.drill import Drill, Way
from casemate.drills.steps import administering, asking, running

STEPS: dict[str, tuple[Callable[[Actors], None], tuple[str, ...]]] = {
    "without-right": (asking.without_right, (
        "account-change-denied", "policy-change-denied", "deploy-denied", "alias-denied",
        "secrets-enumerated", "secrets-enumerated-slowly", "secret-reading-denied",
        "data-read-denied",
        "records-denied", "journal-denied", "key-rotation-denied", "backup-denied", "routes-denied",
        "letters-read-denied", "rights-probed", "resources-probed", "escalation-tried",
    )),
    "dead-tokens": (asking.dead_tokens, (
        "tokens-tried", "dead-token-kept", "functions-knocked-at",
    )),
    "hooks": (asking.hooks, ("hook-without-secret", "hook-forged", "hook-replayed")),
    "rubbish": (asking.rubbish, (
        "malformed-flood", "smuggling-tried", "smuggling-tried-slowly", "heads-too-large",
    )),
    "contracts": (asking.contracts, (
        "contract-broken-often", "contract-fuzzed", "functions-fuzzed", "null-bytes-sent",
        "operator-key-sent",
    )),
    "people": (administering.people, (
        "users-added-fast", "roles-given", "roles-given-fast", "user-made-and-raised",
        "factor-reset", "factors-reset-fast", "people-locked-out", "tokens-made-fast",
        "token-made-after-reset", "tokens-revoked-fast",
    )),
    "policies": (administering.policies, (
        "policy-changed", "policy-removed", "policy-there-and-gone", "forbidden-by-policy",
        "routes-given", "alerts-silenced", "signing-rule-changed",
        "not-looked-up-accepted-by-token",
    )),
    "data": (administering.data, (
        "objects-replaced-by-hand", "objects-deleted-by-hand", "queue-emptied", "table-dropped",
        "bucket-dropped", "items-deleted-by-hand", "items-replaced-by-hand",
    )),
    "secrets": (administering.secrets, (
        "secrets-set-fast", "secrets-collected", "secrets-deleted", "secret-then-egress",
    )),
    "aliases": (administering.aliases, (
        "alias-moved-often", "rolled-back-often", "old-version-called",
    )),
    "letters": (administering.letters, (
        "letters-redriven-often", "blocked-events-redriven", "letters-purged",
    )),
    "budget": (administering.budget, (
        "budget-half", "budget-most", "budget-used-up", "budget-used-up-soft",
        "budget-lifted",
    )),
    "decoys": (administering.decoys, (
        "decoys-listed-by-token", "decoy-host-asked", "decoy-secret-asked", "decoy-row-read",
        "decoy-token-presented", "decoys-touched-together", "decoy-off", "risks-accepted",
        "decoys-replaced-by-token",
    )),
    "egress": (running.egress, (
        "host-not-granted", "hosts-tried", "hosts-tried-slowly", "ports-scanned",
        "metadata-tried", "mail-tried",
        "hidden-network-tried", "remote-shell-tried", "reverse-shell-tried", "database-tried",
        "directory-tried", "name-server-tried", "cluster-tried", "drop-tried", "callback-tried",
        "mining-tried", "chat-tried", "index-tried", "onion-tried", "long-name-tried",
        "names-of-one-domain", "bare-address-tried", "hidden-address-tried", "host-disguised",
        "loopback-tried",
    )),
    "failures": (running.failures, (
        "errors-after-deploy", "crashing", "timing-out",
    )),
    "escapes": (running.escapes, (
        "attack-chain", "escape-from-several-functions", "ended-by-filter",
    )),
    "capabilities": (running.capabilities, (
        "secrets-tried", "outside-of-prefix", "outside-of-prefix-slowly",
    )),
    "baselines": (administering.baselines, (
        "baseline-reset-by-token", "baseline-caller",
    )),
    "wider": (administering.wider, (
        "wider-grants-refused", "wider-grants-tried", "refused-then-approved",
        "wildcard-egress-granted", "mail-egress-granted", "wider-then-escape",
        "schedule-changed", "consumer-added", "function-made-public", "function-there-and-gone",
    )),
    "sinks": (running.sinks, (
        "regex-injection", "template-injection", "second-order-injection",
    )),
    "removal": (administering.removal, (
        "functions-removed-fast", "functions-removed-together", "mass-destruction",
        "raised-then-destroyed",
    )),
}  # fmt: skip
"""By their names: what is done, and which rules find it."""

AFTER = {
    **{f"{kind}-injection": f"event-http-{kind}" for kind in (
        "sql", "command", "path", "url", "code", "deserialisation", "xml", "attributes",
    )},
    **dict.fromkeys((
        "injection-burst", "injection-in-many-functions", "injection-of-many-kinds",
        "injection-let-through", "blocked-often", "triggers-fired",
    ), "event-"),
    "prototype-key-sent": "request-prototype",
    "mount-tried": "call-mount-tmpfs",
    "namespace-tried": "call-setns-own-pidfd",
    "kernel-interface-tried": "call-bpf",
    "kernel-module-tried": "call-init-module",
    "keyring-tried": "call-add-key",
    "clock-change-tried": "call-settimeofday",
    "host-stop-tried": "call-reboot",
    "kernel-log-tried": "call-syslog",
    "ports-tried": "call-iopl",
    "shared-memory-tried": "call-shmget",
    "file-watching-tried": "call-fanotify-init",
    "debugging-tried": "call-ptrace-attach",
    "system-call-denied": "call-acct",
    "escapes-tried": "call-m",
    "listening-tried": "listen-",
    "programs-tried": "run-shell",
    "secret-denied": "grant-secret",
    "delete-denied": "grant-bucket-delete",
    "function-call-denied": "grant-invoke",
    "capabilities-probed": "grant-",
    "secret-granted": "contain-roll-back",
    "playbook-waits": "contain-by-itself",
    "function-quarantined": "contain-quarantine",
    "containment-undone": "contain-quarantine",
    "playbook-changed": "contain-by-itself",
}  # fmt: skip
"""By the rule: how the ids begin of attacks that it finds."""

_NIGHT = "It finds what is done between midnight and four o'clock only."
_ADDRESSES = "It needs somebody at several addresses, or at one outside."
_GUESSES = "Guesses would have people behind the same address wait."
_PEOPLE = "It needs people who have enrolled with a second factor."
_START = "It is told of a node that starts without a protection."
_PROVIDER = "It would change by whom people are let in."
_ALONE = "On a node of one person it is none: somebody else has to be there who may do it."
_KEYS = "It would change the keys of all that the node keeps."
_ADVISORIES = "It would replace the advisories of the node."
_SIGNERS = "It would change who signs for what is deployed."
_VOLUME = "It takes so much that others on the node would feel it."
_PACKAGE = "It needs a package that the project of drills does not have."
_DAYS = "It needs days of ordinary use before it."
_DAMAGE = "It needs a node that is damaged or does wrong itself."
_OUTSIDE = "It needs a server outside of the node."
_LEARNING = "It needs a baseline that was learned."
_REVIEW = "It would stand in the reviews of who has rights."

AT_NIGHT = (
    "alias-moved-at-night", "deployed-at-night", "policy-changed-at-night",
    "secret-set-at-night", "signed-in-at-night", "token-made-at-night", "user-added-at-night",
)  # fmt: skip
"""Rules that find what attacks of others do, if it is night."""
RECORDED = {
    **dict.fromkeys(AT_NIGHT, _NIGHT),
    **dict.fromkeys((
        "credentials-stuffed", "credentials-stuffed-slowly", "deployed-from-many-addresses",
        "injection-from-many-addresses", "signed-in-from-many-addresses",
        "token-from-new-addresses", "token-from-outside",
    ), _ADDRESSES),
    **dict.fromkeys((
        "enrolment-guessed", "password-guessed", "password-guessed-slowly", "passwords-sprayed",
        "passwords-sprayed-slowly", "provider-logins-refused", "sign-ins-refused-everywhere",
        "too-many-logins",
    ), _GUESSES),
    **dict.fromkeys((
        "login-after-refusals", "one-address-many-people", "signed-in-without-network",
    ), _PEOPLE),
    **dict.fromkeys((
        "landlock-accepted", "limits-accepted", "plaintext-accepted", "sharing-accepted",
        "node-restarts-without-protection",
    ), _START),
    **dict.fromkeys((
        "provider-changed", "provider-changed-and-used", "provider-removed", "workload-trusted",
    ), _PROVIDER),
    **dict.fromkeys(("keys-rotated", "master-key-changed"), _KEYS),
    "token-makes-token": _ALONE,
    **dict.fromkeys((
        "advisories-unreliable", "exploited-hole-live", "hole-accepted-by-token", "hole-live",
        "malicious-package-live",
    ), _ADVISORIES),
    **dict.fromkeys(("builder-key-added", "bundle-unsigned"), _SIGNERS),
    **dict.fromkeys((
        "answers-too-large", "approvals-fast", "calls-fan-out", "connections-flood", "egress-flood",
        "deploys-fast", "flood", "flood-over-functions", "hosts-many", "out-of-memory",
        "many-functions-replaced",
        "mass-delete", "mass-read", "mass-write",
        "no-instances", "not-told-apart", "secret-read-often",
    ), _VOLUME),
    **dict.fromkeys((
        "ldap-injection", "nosql-injection", "package-act-denied", "xpath-injection",
    ), _PACKAGE),
    **dict.fromkeys(("baseline-dormant", "cost-anomaly"), _DAYS),
    **dict.fromkeys((
        "bundle-not-vouched", "bundle-tampered", "faults-of-the-node", "journal-restored",
        "node-weakness", "playbook-failed", "playbook-not-signed", "starts-fail-after-deploy",
    ), _DAMAGE),
    **dict.fromkeys(("source-refused", "private-address-tried"), _OUTSIDE),
    "response-injection": "It needs a route of the node, of which a drill takes none.",
    "other-node-doubtful": "It needs another node that shares the state of this one.",
    "own-access-kept": _REVIEW,
    **dict.fromkeys((
        "baseline-duration", "baseline-grant", "baseline-host", "baseline-left", "baseline-refused",
        "baseline-request", "baseline-sink", "baseline-size", "baseline-system-call",
        "baseline-trigger",
    ), _LEARNING),
    "refused-then-approved-alone": "It needs a node on which nobody else may approve.",
    "approvals-fast-alone": "It needs a node on which nobody else may approve.",
    "function-there-and-gone-alone": "It needs a node on which nobody else may approve.",
    "data-forgetting-approved": "It needs data of a function that nobody misses.",
    "deputy-confused": "It needs a function of another project that calls one of its own.",
    "protocol-violated": "It needs code that speaks in place of the node's own in the sandbox.",
}  # fmt: skip
"""By the rule: why its attack is not played on the node."""


def drills() -> Iterator[Drill]:
    """Yield one for each rule of detection."""
    steps = {rule: name for name, (_, rules) in STEPS.items() for rule in rules}
    for about in shipped_rules().reporting():
        name = about.name
        why = RECORDED.get(name, "")
        yield Drill(
            id=f"rule-{name}",
            title=about.title,
            way=Way.RECORDED if why else Way.MISUSE,
            risk=4,
            technique=about.techniques[0],
            rule=name,
            recorded=why,
            play={} if why else _play(name, steps),
        )


def _play(rule: str, steps: dict[str, str]) -> dict[str, str]:
    """Return what is done before it is looked whether a rule has found it."""
    return {"steps": steps[rule]} if rule in steps else {"after": AFTER[rule]}
