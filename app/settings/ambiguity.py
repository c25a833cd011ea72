"""Checks that no two sources of callers give one credential or one customer two meanings."""

from collections.abc import Sequence
from itertools import combinations

from .claims import listed
from .identity_source import ConfiguredSource, IdentitySourceSettings
from .issuer_urls import overlap
from .issuers import IssuerSettings


def check_issuers(issuers: Sequence[ConfiguredSource[IssuerSettings]]) -> None:
    """Check that the `iss` and `aud` of a token select one issuer.

    Raises:
        ValueError: two issuers accept the same tokens.
    """
    for one, other in combinations((source.settings for source in issuers), 2):
        if set(listed(one.audience)).isdisjoint(listed(other.audience)):
            continue
        if not set(listed(one.issuer)).isdisjoint(listed(other.issuer)):
            raise ValueError("two issuers have the same issuer URL and audience")
        if any(overlap(a, b) for a in listed(one.issuer) for b in listed(other.issuer)):
            raise ValueError("two issuers with the same audience accept the tokens of one tenant")


def check_consumer_spaces(sources: Sequence[ConfiguredSource[IdentitySourceSettings]]) -> None:
    """Check that equal consumer ids of two sources are the same customer.

    Raises:
        ValueError: two sources could give one consumer id two meanings.
    """
    users = [source.settings for source in sources if source.settings.identifies_users]
    for one, other in combinations(users, 2):
        if one.consumer_space is not None and one.consumer_space == other.consumer_space:
            _check_one_space(one, other)
        else:
            _check_two_spaces(one, other)


def _check_one_space(one: IdentitySourceSettings, other: IdentitySourceSettings) -> None:
    if one.consumer_prefix != other.consumer_prefix:
        raise ValueError("sources of one consumer_space need the same consumer_prefix")
    # One claim is used unchanged, several are percent-encoded.
    if len(one.consumer_claims) != len(other.consumer_claims):
        raise ValueError(
            "sources of one consumer_space need the same number of claims in claims.consumer_id"
        )


def _check_two_spaces(one: IdentitySourceSettings, other: IdentitySourceSettings) -> None:
    shorter, longer = sorted((one, other), key=lambda source: len(source.consumer_prefix))
    if not longer.consumer_prefix.startswith(shorter.consumer_prefix):
        return
    distinct = shorter.consumer_prefix != longer.consumer_prefix
    if distinct and shorter.consumer_prefix == "" and shorter.consumer_space is not None:
        return  # Its ids that begin with the other prefix are rejected.
    raise ValueError(
        "with several sources of users each needs a consumer_prefix, and none may begin with "
        "another; sources that share customers name the same consumer_space"
    )
