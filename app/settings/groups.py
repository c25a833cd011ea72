"""What the groups of settings have in common."""

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from .schema import decoded

NonEmpty = Annotated[str, StringConstraints(min_length=1)]

_PRINTABLE = re.compile(r"[\x20-\x7e]{1,4096}")


def printable(value: str) -> str:
    """Return `value` when it can be sent as a credential or in a header.

    Source: RFC 6749 appendix A (VSCHAR), RFC 9110 section 5.5 (field-vchar and spaces).

    Raises:
        ValueError: without quoting the value.
    """
    if _PRINTABLE.fullmatch(value) is None:
        raise ValueError("must be printable ASCII characters, and not empty")
    return value


def secret(value: SecretStr) -> SecretStr:
    """Return a secret without the whitespace around it.

    A variable or file that was made from another file often ends in a line feed, which is no part
    of the secret, and which no header can hold.

    Raises:
        ValueError: it is empty, or has characters that cannot be sent; it is not quoted.
    """
    return SecretStr(printable(value.get_secret_value().strip()))


Secret = Annotated[SecretStr, AfterValidator(secret)]
"""A secret or the value of a header, which may be one."""

HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]
"""Name of a header (RFC 9110 section 5.1)."""


class Group(BaseModel):
    """Settings that belong together: frozen, closed, and silent about their values in errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        validate_default=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _decode(cls, value: Any, info: ValidationInfo) -> Any:
        return decoded(value, cls.model_fields[str(info.field_name)].annotation)
