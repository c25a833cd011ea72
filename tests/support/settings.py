"""What is wrong with the settings of an issuer."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import IdentitySettings

ISSUER = {"issuer": "https://id.example.com", "audience": "vault-bff"}


def issuer_faults(**issuer: Any) -> dict[str, str]:
    """Return what is wrong with the settings of an issuer: the message for each setting."""
    with pytest.raises(ValidationError) as error:
        IdentitySettings.model_validate({"issuers": {"main": {**ISSUER, **issuer}}})
    return {
        ".".join(map(str, fault["loc"][2:])): fault["msg"].removeprefix("Value error, ")
        for fault in error.value.errors()
    }
