from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import IdentitySettings

ISSUER = {"issuer": "https://id.example.com", "audience": "vault-bff"}


def faults(**issuer: Any) -> dict[str, str]:
    """Return what is wrong with the settings of an issuer: the message for each setting."""
    with pytest.raises(ValidationError) as error:
        IdentitySettings.model_validate({"issuers": {"main": {**ISSUER, **issuer}}})
    return {
        ".".join(map(str, fault["loc"][2:])): fault["msg"].removeprefix("Value error, ")
        for fault in error.value.errors()
    }


@pytest.mark.parametrize("scope", ["", "read write", " read"])
def test_a_required_scope_is_one_scope(scope: str) -> None:
    """A scope contains no space (RFC 6749 section 3.3), so no token could have this one."""
    assert faults(required_scope=scope) == {"required_scope": "must be one scope, without spaces"}


@pytest.mark.parametrize("value", [1.5, None, ["a"], {"a": 1}])
def test_a_required_claim_is_a_plain_value(value: Any) -> None:
    """Other values could not be compared without conversion."""
    assert faults(required_claims={"sts": value}) == {
        "required_claims.sts": "must be a string, a whole number, true or false"
    }
