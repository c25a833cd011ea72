"""The validation errors of an issuer's settings."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import IdentitySettings

ISSUER = {"issuer": "https://id.example.com", "audience": "vault-bff"}


def issuer_faults(**issuer: Any) -> dict[str, str]:
    """Return the validation errors of an issuer's settings: the message for each setting."""
    with pytest.raises(ValidationError) as raised:
        IdentitySettings.model_validate({"issuers": {"main": {**ISSUER, **issuer}}})
    return {
        ".".join(map(str, error["loc"][2:])): error["msg"].removeprefix("Value error, ")
        for error in raised.value.errors()
    }
