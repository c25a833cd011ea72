"""Which claims describe a caller, and where in the claims they are."""

from typing import Annotated, Self

from jsonpointer import JsonPointer, JsonPointerException
from pydantic import AfterValidator, PlainValidator, model_validator

from .apideck import UnifyAppName
from .groups import Group

_MAX_PATH_LENGTH = 256
_MAX_PATHS = 4


def listed(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return a setting of one or more strings as a tuple; a string stands for a list of one."""
    return (value,) if isinstance(value, str) else value


def _claim_path(value: str) -> str:
    if not 1 <= len(value) <= _MAX_PATH_LENGTH:
        raise ValueError(f"must have 1 to {_MAX_PATH_LENGTH} characters")
    if value.startswith("/"):
        try:
            JsonPointer(value)
        except JsonPointerException:
            raise ValueError(
                "must be the name of a claim, or a JSON Pointer (RFC 6901), in which ~ is written "
                "as ~0"
            ) from None
    return value


ClaimPath = Annotated[str, AfterValidator(_claim_path)]
"""A claim's name, or a JSON Pointer (RFC 6901) into the claims if it begins with a slash."""


def _claim_paths(value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    paths = listed(value)
    if not 1 <= len(paths) <= _MAX_PATHS:
        raise ValueError(f"must be one claim, or a list of up to {_MAX_PATHS}")
    for path in paths:
        _claim_path(path)
    return value


def _claim_value(value: object) -> str | int | bool:
    # Never converted: in JSON true, 1 and "1" are three values.
    if isinstance(value, str | int):
        return value
    raise ValueError("must be a string, a whole number, true or false")


ClaimValue = Annotated[str | int | bool, PlainValidator(_claim_value)]


class ClaimPaths(Group):
    """Which claims describe the consumer."""

    consumer_id: Annotated[str | tuple[str, ...], AfterValidator(_claim_paths)] = "sub"
    """The claim that identifies the customer, such as your tenant id. Every user needs it. Several
    claims are joined by colons into one id, each percent-encoded."""

    account_name: ClaimPath | None = None
    """Name of the customer's account."""

    user_name: ClaimPath | None = "name"
    """Name of the person."""

    email: ClaimPath | None = "email"
    """E-mail address of the person, for display only."""

    image: ClaimPath | None = "picture"
    """URL of a picture."""


class UnifyAppChoice(Group):
    """Which of your Unify apps sessions belong to; see `APIDECK__UNIFY_APPS`."""

    unify_app: UnifyAppName = "default"
    """The Unify app, unless `claim` is set."""

    claim: ClaimPath | None = None
    """The claim that names the Unify app. A caller without it, or with a Unify app that is not in
    `allowed`, is rejected."""

    allowed: tuple[UnifyAppName, ...] = ()
    """The Unify apps that `claim` may name."""

    @model_validator(mode="after")
    def _claim_is_bounded(self) -> Self:
        if (self.claim is None) != (not self.allowed):
            raise ValueError("needs claim and allowed together")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Every Unify app that can be chosen."""
        return self.allowed or (self.unify_app,)
