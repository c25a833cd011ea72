"""What is raised when Apideck creates no session."""

from http import HTTPStatus

import httpx
import pytest

from app.apideck.api_key import ApiKey
from app.apideck.client import ApideckClient
from app.errors import (
    ApideckError,
    ApideckRejectedFieldsError,
    ApideckRejectedRequestError,
    ApideckUnavailableError,
    FieldError,
)
from app.identity.models import Caller
from app.observability.audit import AuditRecord
from app.observability.telemetry import Telemetry
from app.sessions.models import SessionRequest, VaultSession
from app.sessions.service import SessionService
from app.settings import ApideckSettings, SessionSettings
from tests.support.garbage import left_of

ADA = Caller("user", "main", "ada", "acme")
LOGO: SessionRequest = {"theme": {"logo": "https://x.example/l.png"}}
REJECTED_LOGO = {"detail": {"theme.logo": "is too large"}}


class Refusing:
    """A service whose requests Apideck refuses."""

    def __init__(self, status: HTTPStatus, body: object) -> None:
        settings = ApideckSettings.model_validate(
            {
                "api_key": "sk_0123456789",
                "app_id": "app",
                "retries": {"max_attempts": 2, "base_delay_seconds": 0.001},
            }
        )
        telemetry = Telemetry()
        transport = httpx.MockTransport(lambda _: httpx.Response(status, json=body))
        key = ApiKey("default", settings, lambda _: None)
        self.service = SessionService(
            SessionSettings(users_may_set=["theme"]),
            {"default": ApideckClient("default", settings, key, transport, telemetry)},
            telemetry.tracing,
        )

    async def mint(self) -> VaultSession:
        """Request a session."""
        return await self.service.create(ADA, LOGO, AuditRecord())


async def test_a_field_of_the_callers_that_apideck_rejects_is_named() -> None:
    """The operator gets Apideck's error as well, as the cause."""
    with pytest.raises(ApideckRejectedFieldsError) as raised:
        await Refusing(HTTPStatus.BAD_REQUEST, REJECTED_LOGO).mint()

    assert raised.value.errors == (FieldError("/theme/logo", "Apideck rejected this value."),)
    assert isinstance(raised.value.__cause__, ApideckRejectedRequestError)


async def test_an_error_that_no_field_explains_is_raised_as_it_is() -> None:
    """It is not its own cause."""
    with pytest.raises(ApideckRejectedRequestError) as raised:
        await Refusing(HTTPStatus.BAD_REQUEST, {}).mint()

    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (HTTPStatus.BAD_REQUEST, REJECTED_LOGO, ApideckRejectedFieldsError),
        (HTTPStatus.BAD_REQUEST, {}, ApideckRejectedRequestError),
        (HTTPStatus.SERVICE_UNAVAILABLE, {}, ApideckUnavailableError),
    ],
)
async def test_a_failed_request_leaves_nothing_for_the_garbage_collector(
    status: HTTPStatus, body: object, error: type[ApideckError]
) -> None:
    """It runs rarely, and an error refers to everything that the request had in memory."""
    assert await left_of(Refusing(status, body).mint, error) == []
