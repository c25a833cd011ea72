"""Which problems the requests to each endpoint can end in."""

from http import HTTPStatus

from .. import errors
from ..webhooks.errors import WebhookError
from .problem_type import ProblemType
from .problem_types import ALL, BY_ERROR, INTERNAL_ERROR
from .status_problems import BY_STATUS

_NOT_OF_A_ROUTE = frozenset(
    {BY_STATUS[HTTPStatus.NOT_FOUND], BY_STATUS[HTTPStatus.METHOD_NOT_ALLOWED]}
)
"""Problems that mean that no route was called."""

_AT_WEBHOOKS = (WebhookError, errors.OutOfDescriptorsError, errors.ShuttingDownError)
_ONLY_WEBHOOKS = frozenset(BY_ERROR.values()) - frozenset(
    one for error, one in BY_ERROR.items() if not issubclass(error, WebhookError)
)
_ONLY_SESSIONS = frozenset(
    {
        BY_ERROR[errors.RedirectNotAllowedError],
        BY_ERROR[errors.ApideckRejectedFieldsError],
        BY_STATUS[HTTPStatus.UNSUPPORTED_MEDIA_TYPE],
    }
)
_ONLY_CONNECTIONS = frozenset({BY_ERROR[errors.ConnectionNotFoundError]})

OF_SESSIONS: tuple[ProblemType, ...] = tuple(
    one for one in ALL if one not in _NOT_OF_A_ROUTE | _ONLY_CONNECTIONS | _ONLY_WEBHOOKS
)
"""What a request for a session can end in."""

OF_CONNECTIONS: tuple[ProblemType, ...] = tuple(
    one for one in ALL if one not in _NOT_OF_A_ROUTE | _ONLY_SESSIONS | _ONLY_WEBHOOKS
)
"""What a request for connections can end in."""

OF_WEBHOOKS: tuple[ProblemType, ...] = tuple(
    dict.fromkeys(
        [
            *(one for error, one in BY_ERROR.items() if issubclass(error, _AT_WEBHOOKS)),
            *(one for one in BY_STATUS.values() if one.status != HTTPStatus.METHOD_NOT_ALLOWED),
            INTERNAL_ERROR,
        ]
    )
)
"""What a delivery by Apideck can end in; it is not found if its Unify app has no target."""
