"""Whether a resource that is granted is one that the code names.

Both are brought to a plain name: `${Orders}` for a resource of the template, however it is written
(`Ref`, its ARN, its name), or the name itself. What only a deployment knows may be anything.
"""

from __future__ import annotations

import fnmatch
import re

from casemate.audit.model import Application
from casemate.audit.privileges.special import OF_OBJECTS, RESOURCES
from casemate.audit.privileges.values import HOLE

_LOGICAL = re.compile(r"\$\{([A-Za-z0-9/]{1,255})(?:\.(?!Outputs\.)[A-Za-z0-9.]{1,100})?\}")
"""A resource of the template. What a nested stack gives out may be any."""
_HOLDER = re.compile(r"\$\{[^${}]{1,512}\}|\{\{resolve:[^{}]{1,512}\}\}")
_SEPARATORS = {
    "dynamodb": ":table/",
    "s3": ":::",
    "kinesis": ":stream/",
    "firehose": ":deliverystream/",
    "lambda": ":function:",
    "secretsmanager": ":secret:",
    "ssm": ":parameter",
    "kms": ":key/",
    "states": ":stateMachine:",
    "cognito-idp": ":userpool/",
    "events": ":event-bus/",
}
_NAMES = (
    *("TableName", "BucketName", "QueueName", "TopicName", "FunctionName", "StateMachineName"),
    *("Name", "DeliveryStreamName", "UserPoolName"),
)
_MAX = 2_048
_MAX_WILDCARDS = 8
"""Of one resource; with more it may be any."""


class Names:
    """Names of the resources of one template."""

    def __init__(self, application: Application) -> None:
        """Learn which names the template gives to its resources."""
        self.logical: set[str] = {each.name for each in application.assets}
        self.logical |= {each.name for each in application.functions}
        self._by_name: dict[str, str] = {}
        self._given: dict[str, list[str]] = {}
        """The names that the template gives, by the plain name: wildcards are about these."""
        for variable in application.variables:
            owner, _, path = variable.name.partition(".")
            self.logical.add(owner)
            if path in _NAMES:
                self._by_name.setdefault(variable.value, owner)
                self._given.setdefault("${" + owner + "}", []).append(variable.value)

    def plain(self, service: str, resource: str) -> str:
        """Return the plain name of a resource, as the code or a policy names it."""
        text = resource[:_MAX]
        whole = _LOGICAL.match(text)
        if whole is not None and whole[1] in self.logical:
            rest = text[whole.end() :]
            if service == "s3" and rest.startswith("/"):
                rest = ""
            if not rest or rest.startswith(("/index", "/*", ":*", "/stream", ":")):
                return "${" + whole[1] + "}"
        if text.startswith("https://") and service == "sqs":
            text = text.rpartition("/")[2]
        elif text.startswith("arn:"):
            text = self._of_arn(service, text)
        elif service == "lambda" and ":" in text:
            text = _before(":", text)
        if service == "ssm":
            text = text.lstrip("/")
        whole = _LOGICAL.fullmatch(text)
        if whole is not None and whole[1] in self.logical:
            return "${" + whole[1] + "}"
        owner = self._by_name.get(text)
        return "${" + owner + "}" if owner is not None else text

    def _of_arn(self, service: str, arn: str) -> str:
        separator = _SEPARATORS.get(service, "")
        if separator and separator in arn:
            rest = arn.partition(separator)[2]
        else:
            # `arn:PARTITION:SERVICE:REGION:ACCOUNT:NAME`; holders may have colons of their own.
            hidden = _HOLDER.sub(lambda m: m[0].replace(":", "\0"), arn)
            rest = ":".join(hidden.split(":")[5:]).replace("\0", ":")
        if service in ("s3", "dynamodb"):
            return _before("/", rest)
        if service == "secretsmanager":
            return re.sub(r"-(?:\?{6}|\*)$", "", rest)
        if service == "lambda":
            return _before(":", rest)
        return rest

    def known(self, plain: str) -> bool:
        """Tell whether a plain name says which resource it is, before anything is deployed."""
        if HOLE in plain:
            return False
        return all(
            holder[2:-1] in self.logical or holder[2:-1].startswith("AWS::")
            for holder in _HOLDER.findall(plain)
        )

    def may_be(self, service: str, granted: str, needed: str) -> bool:
        """Tell whether what is granted may be, or cover, what is needed."""
        one, other = self.plain(service, granted), self.plain(service, needed)
        if one == other or "*" in (granted, one) or one in ("", "/*"):
            return True
        if not self.known(other) or (not self.known(one) and "*" not in one):
            return True
        if not self.known(one):
            return True
        return any(_covers(one, each) for each in (other, *self._given.get(other, ())))

    def is_wide(self, service: str, granted: str) -> bool:
        """Tell whether what is granted is every resource of its kind."""
        return granted == "*" or self.plain(service, granted) in ("*", "", "/*", "**")


def _before(sign: str, text: str) -> str:
    """Return what is before a sign; one in a holder (`${import:Name}`) parts nothing."""
    hidden = _HOLDER.sub(lambda m: m[0].replace(sign, "\0"), text)
    return hidden.partition(sign)[0].replace("\0", sign)


def _covers(pattern: str, name: str) -> bool:
    if not any(sign in pattern for sign in "*?"):
        return False
    if pattern.count("*") > _MAX_WILDCARDS:
        return True
    safe = pattern.replace("[", "[[]")
    return fnmatch.fnmatchcase(name, re.sub(r"\*+", "*", safe))


def arn_of(action: str, plain: str) -> str | None:
    """Return the ARN of a resource by its plain name, or None if its form is not known."""
    service = action.partition(":")[0]
    form = RESOURCES.get(service, ((), ""))[1]
    if plain.startswith("arn:"):
        return plain
    if not form:
        return None
    whole = _LOGICAL.fullmatch(plain)
    if whole is None or service == "ssm":
        arn = form.replace("{}", plain)
    elif service in ("sns", "secretsmanager", "states"):
        arn = plain  # a reference to one of these is its ARN
    else:
        arn = "${" + whole[1] + ".Arn}"
    return f"{arn}/*" if action.lower() in OF_OBJECTS else arn
