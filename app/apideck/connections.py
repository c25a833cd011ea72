"""Apideck's connections: which of their fields may leave, and how to ask for them. Pure.

The attack: Apideck's response holds more than a page may see. `settings`, `form_fields` and
`metadata` can hold credentials of the customer's own systems; `authorize_url` and `revoke_url`
start and end authorizations by themselves. So fields are not removed, they are picked: what is not
named here, Apideck's future fields included, never leaves this module.

Source: https://developers.apideck.com/apis/vault/reference (operations "Get all connections" and
"Get connection").
"""

from functools import lru_cache
from typing import Annotated, Final, Required
from urllib.parse import quote

from pydantic import (
    AfterValidator,
    ConfigDict,
    OnErrorOmit,
    TypeAdapter,
    ValidationError,
    with_config,
)
from typing_extensions import TypedDict

from ..common.urls import web_url
from ..vault import Slug
from .wire import InvalidResponseError

CONNECTIONS_PATH: Final = "/vault/connections"


@lru_cache(maxsize=4096)
def _https(value: str) -> str:
    # Every list has the same URLs of the same connectors, three for each.
    if not value.startswith("https://"):
        raise ValueError("must use https")
    return web_url(value)


# A field that is not of the documented type is left out, and the others stay.
Text = OnErrorOmit[str]
Flag = OnErrorOmit[bool]
Milliseconds = OnErrorOmit[int]
HttpsUrl = OnErrorOmit[Annotated[str, AfterValidator(_https)]]


@with_config(ConfigDict(extra="ignore", use_attribute_docstrings=True))
class VaultConnection(TypedDict, total=False):
    """A connector, and whether this customer has connected it.

    Fields that Apideck did not send are absent. Apideck may add values to `state` and the others:
    treat one that you do not know as "not usable".
    """

    unified_api: Required[Slug]
    """The unified API, such as `accounting`."""
    service_id: Required[Slug]
    """The connector, such as `quickbooks`."""
    id: Text
    """Apideck's id of the connection."""
    name: Text
    """The connector's name."""
    tag_line: Text
    """The connector in a sentence."""
    website: HttpsUrl
    """The connector's website."""
    icon: HttpsUrl
    """URL of a small picture."""
    logo: HttpsUrl
    """URL of a large picture."""
    state: Text
    """`available`, `added`, `authorized`, `callable` or `invalid`. Only `callable` is usable."""
    integration_state: Text
    """`disabled`, `needs_configuration` or `configured`: whether you have set up the connector."""
    health: Text
    """`ok`, `pending_refresh`, `needs_auth`, `pending_confirmation`, `needs_consent`, `revoked`,
    `missing_settings` or `degraded`."""
    auth_type: Text
    """`oauth2`, `apiKey`, `basic`, `custom` or `none`."""
    status: Text
    """`live`, `upcoming` or `requested`: whether Apideck offers the connector."""
    enabled: Flag
    """Whether the customer has the connection switched on."""
    consent_state: Text
    """Whether the customer has consented to the use of their data."""
    created_at: Milliseconds
    """When the connection was created, in milliseconds since 1970."""
    updated_at: Milliseconds
    """When the connection was last changed, in milliseconds since 1970."""


class _ListBody(TypedDict):
    # A connector whose ids are unusable cannot be opened either.
    data: list[OnErrorOmit[VaultConnection]]


class _OneBody(TypedDict):
    data: VaultConnection


_LIST = TypeAdapter(_ListBody)
_ONE = TypeAdapter(_OneBody)
_SLUG: TypeAdapter[str] = TypeAdapter(Slug)


def read_list(body: bytes) -> list[VaultConnection]:
    """Return the connections that a 200 holds, with the fields that may leave.

    Raises:
        InvalidResponseError: when the response is not of the documented form.
    """
    try:
        return _LIST.validate_json(body, strict=True)["data"]
    except ValidationError:
        raise InvalidResponseError("not of the documented form") from None


def read_one(body: bytes, unified_api: str, service_id: str) -> VaultConnection:
    """Return the connection that a 200 holds, with the fields that may leave.

    Raises:
        InvalidResponseError: when the response is not of the documented form, or is a different
            connection.
    """
    try:
        connection = _ONE.validate_json(body, strict=True)["data"]
    except ValidationError:
        raise InvalidResponseError("not of the documented form") from None
    if (connection["unified_api"], connection["service_id"]) != (unified_api, service_id):
        raise InvalidResponseError("the response is a different connection")
    return connection


def connection_path(unified_api: str, service_id: str) -> str:
    """Return the path of one connection below Apideck's base URL.

    The attack: a segment such as `..%2f..%2fsessions` that leads to another part of Apideck's API,
    where the service's key is accepted. A segment must be of Apideck's own grammar, in which no
    character has a meaning in a URL, and is percent-encoded all the same.

    Raises:
        ValueError: a segment is not of that grammar.
    """
    return "/".join([CONNECTIONS_PATH, *map(_segment, (unified_api, service_id))])


def list_query(unified_api: str | None, *, configured: bool | None) -> dict[str, str]:
    """Return the query that asks for a list.

    Args:
        unified_api: the only unified API to list; None lists all.
        configured: whether to list what is connected, or what is not; None lists both.

    Raises:
        ValueError: the unified API is not of Apideck's grammar.
    """
    query = {}
    if unified_api is not None:
        query["api"] = _segment(unified_api)
    if configured is not None:
        query["configured"] = "true" if configured else "false"
    return query


def _segment(value: str) -> str:
    try:
        return quote(_SLUG.validate_python(value), safe="")
    except ValidationError:
        raise ValueError("not of the grammar of Apideck's ids") from None
