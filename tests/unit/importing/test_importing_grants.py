"""Which resources a policy is about: no more than AWS would say."""

from __future__ import annotations

import pytest

from casemate.audit.model import Function, Place, Platform, Statement
from casemate.importing.grants import Role
from casemate.importing.resources import Known

PLACE = Place("template.yaml")
USERS = Known("table", "users", "Users", "users-prod")
UNNAMED = Known("table", "users", "Users", "")
FILES = Known("bucket", "files", "Files", "files-${AWS::AccountId}")
JOBS = Known("queue", "jobs", "Jobs", "jobs")
NEWS = Known("topic", "news", "", "news")
DATABASE = Known("secret", "prod-db", "", "prod/db")
OTHER = Known("function", "other", "Other", "other")


def role(action: str, *resources: str, effect: str = "Allow") -> Role:
    statement = Statement(effect=effect, actions=(action,), resources=resources, place=PLACE)
    everything = Statement(actions=("*",), resources=("*",), place=PLACE)
    found = (statement,) if effect == "Allow" else (statement, everything)
    return Role(Function(name="f", platform=Platform.AWS, permissions=found, place=PLACE))


@pytest.mark.parametrize(
    ("known", "action", "resource"),
    [
        (USERS, "dynamodb:GetItem", "${Users.Arn}"),
        (USERS, "dynamodb:GetItem", "${Users.Arn}/index/*"),
        (USERS, "dynamodb:GetItem", "arn:${AWS::Partition}:dynamodb:*:*:table/${Users}"),
        (
            USERS,
            "dynamodb:GetItem",
            "arn:aws:dynamodb:${AWS::Region}:${AWS::AccountId}:table/users-*",
        ),
        (UNNAMED, "dynamodb:GetItem", "arn:aws:dynamodb:*:*:table/*"),
        (FILES, "s3:GetObject", "arn:aws:s3:::files-${AWS::AccountId}/*"),
        (FILES, "s3:GetObject", "arn:aws:s3:::*"),
        (JOBS, "sqs:SendMessage", "arn:aws:sqs:eu-west-1:1:jobs"),
        (NEWS, "sns:Publish", "arn:aws:sns:*:*:new?"),
        (
            DATABASE,
            "secretsmanager:GetSecretValue",
            "arn:aws:secretsmanager:*:1:secret:prod/db-??????",
        ),
        (DATABASE, "ssm:GetParameter", "arn:aws:ssm:*:*:parameter/prod/*"),
        (OTHER, "lambda:InvokeFunction", "arn:aws:lambda:*:1:function:other:live"),
    ],
)
def test_what_a_policy_names_is_allowed(known: Known, action: str, resource: str) -> None:
    assert role(action, resource).prefixes(action, known) is None
    assert role(action.upper(), resource).prefixes(action, known) is None
    assert role(action, resource, effect="Deny").prefixes(action, known) is False


@pytest.mark.parametrize(
    ("known", "action", "resource"),
    [
        (USERS, "dynamodb:GetItem", "${UsersOld.Arn}"),
        (USERS, "dynamodb:GetItem", "arn:aws:dynamodb:*:*:table/x-${Users}"),
        (USERS, "dynamodb:GetItem", "arn:aws:dynamodb:*:*:table/${Users}-old"),
        (USERS, "dynamodb:GetItem", "arn:aws:dynamodb:*:*:table/users"),
        (USERS, "dynamodb:GetItem", "arn:aws:dynamodb:*:*:backup/users-prod"),
        (USERS, "dynamodb:GetItem", "arn:aws:s3:::users-prod"),
        (USERS, "dynamodb:GetItem", "users-prod"),
        (UNNAMED, "dynamodb:GetItem", "arn:aws:dynamodb:*:*:table/users"),
        (FILES, "s3:GetObject", "arn:aws:s3:::files-123/*"),
        (JOBS, "sqs:SendMessage", "arn:aws:sns:*:*:jobs"),
        (OTHER, "lambda:InvokeFunction", "arn:aws:lambda:*:1:function:another:*"),
        (OTHER, "lambda:InvokeFunction", "arn:aws:lambda:*:1:layer:other"),
        (DATABASE, "secretsmanager:GetSecretValue", "arn:aws:secretsmanager:*:1:secret:prod/dbx"),
    ],
)
def test_what_it_does_not_name_is_not(known: Known, action: str, resource: str) -> None:
    assert role(action, resource).prefixes(action, known) is False


def test_patterns_with_many_stars_take_no_long_time() -> None:
    known = Known("queue", "a", "", "a" * 200)
    pattern = "arn:aws:sqs:*:*:" + "*a" * 400 + "b"
    assert role("sqs:SendMessage", *[pattern] * 50).prefixes("sqs:SendMessage", known) is False
