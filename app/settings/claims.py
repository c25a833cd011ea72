"""What claims mean: settings that issuers and cookie sessions have in common."""

from typing import Annotated, Self

from pydantic import Field, PlainValidator, StringConstraints, model_validator

from app.settings.apideck import UnifyAppName
from app.settings.groups import Group


def listed(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return a setting of one or more strings as a tuple; one string stands for a list of one."""
    return (value,) if isinstance(value, str) else value


ClaimPath = Annotated[str, StringConstraints(min_length=1, max_length=256)]
"""A claim's name, or a JSON Pointer (RFC 6901) into the claims when it begins with a slash."""


def _claim_value(value: object) -> str | int | bool:
    # By its JSON type, and never converted: true, 1 and "1" are three values.
    if isinstance(value, str | int):
        return value
    raise ValueError("must be a string, a whole number, true or false")


ClaimValue = Annotated[str | int | bool, PlainValidator(_claim_value)]


class ClaimPaths(Group):
    """Which claim becomes what."""

    consumer_id: ClaimPath | Annotated[tuple[ClaimPath, ...], Field(min_length=1, max_length=4)] = (
        "sub"
    )
    """The claim that names the customer: your tenant's id. It is required of every user. Several
    claims are joined to one id, each percent-encoded, with a colon between them."""

    account_name: ClaimPath | None = None
    """Name of the customer's account."""

    user_name: ClaimPath | None = "name"
    """Name of the person."""

    email: ClaimPath | None = "email"
    """E-mail address of the person, for display; never a key."""

    image: ClaimPath | None = "picture"
    """URL of a picture."""


class UnifyAppChoice(Group):
    """Which of your Unify apps sessions are made with; see `APIDECK__UNIFY_APPS`."""

    unify_app: UnifyAppName = "default"
    """Always this one, unless `claim` is given."""

    claim: ClaimPath | None = None
    """The one that this claim names. Who has no such claim, or one that is not in `allowed`, is
    refused."""

    allowed: tuple[UnifyAppName, ...] = ()
    """The applications that `claim` may name."""

    @model_validator(mode="after")
    def _claim_is_bounded(self) -> Self:
        if (self.claim is None) != (not self.allowed):
            raise ValueError("needs claim and allowed together")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Every application that can be chosen."""
        return self.allowed or (self.unify_app,)
