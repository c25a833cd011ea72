"""The errors that are raised if Apideck creates no session."""

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
from tests.support.garbage import errors_in_cycles

ADA = Caller("user", "main", "ada", "acme")
LOGO: SessionRequest = {"theme": {"logo": "https://x.example/l.png"}}
REJECTED_LOGO = {"detail": {"theme.logo": "is too large"}}


class FailingService:
    """A session service whose requests Apideck rejects."""

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


async def test_a_field_of_the_caller_that_apideck_rejects_is_named() -> None:
    """The cause is the error of Apideck, which the operator needs."""
    with pytest.raises(ApideckRejectedFieldsError) as raised:
        await FailingService(HTTPStatus.BAD_REQUEST, REJECTED_LOGO).mint()

    assert raised.value.errors == (FieldError("/theme/logo", "Apideck rejected this value."),)
    assert isinstance(raised.value.__cause__, ApideckRejectedRequestError)


async def test_an_error_without_rejected_fields_is_raised_unchanged() -> None:
    """The error has no cause."""
    with pytest.raises(ApideckRejectedRequestError) as raised:
        await FailingService(HTTPStatus.BAD_REQUEST, {}).mint()

    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (HTTPStatus.BAD_REQUEST, REJECTED_LOGO, ApideckRejectedFieldsError),
        (HTTPStatus.BAD_REQUEST, {}, ApideckRejectedRequestError),
        (HTTPStatus.SERVICE_UNAVAILABLE, {}, ApideckUnavailableError),
    ],
)
async def test_a_failed_request_creates_no_reference_cycle(
    status: HTTPStatus, body: object, error: type[ApideckError]
) -> None:
    """A cycle would keep all data of the request in memory until the garbage collector runs."""
    assert await errors_in_cycles(FailingService(status, body).mint, error) == []
