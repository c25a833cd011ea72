"""Which problems the requests to each endpoint can end in."""

from http import HTTPStatus

from app import errors
from app.api.problem_types import ALL, BY_ERROR, BY_STATUS, ProblemType

_ONLY_SESSIONS = frozenset(
    {
        BY_ERROR[errors.RedirectNotAllowedError],
        BY_ERROR[errors.ApideckRejectedFieldsError],
        BY_STATUS[HTTPStatus.UNSUPPORTED_MEDIA_TYPE],
    }
)
_ONLY_CONNECTIONS = frozenset({BY_ERROR[errors.ConnectionNotFoundError]})

OF_SESSIONS: tuple[ProblemType, ...] = tuple(one for one in ALL if one not in _ONLY_CONNECTIONS)
"""What a request for a session can end in."""

OF_CONNECTIONS: tuple[ProblemType, ...] = tuple(one for one in ALL if one not in _ONLY_SESSIONS)
"""What a request for connections can end in."""
