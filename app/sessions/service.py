"""Creating a Vault session for a caller: the policy decides, and Apideck creates it."""

from collections.abc import Mapping

import orjson

from ..apideck.client import ApideckClient
from ..apideck.exchange import Result
from ..apideck.models import MintedSession
from ..apideck.sessions import create_session
from ..common.single_flight import SingleFlight
from ..errors import (
    ApideckError,
    ApideckRejectedFieldsError,
    ApideckRejectedRequestError,
    FieldError,
    RequestRejectedError,
)
from ..identity.models import Caller
from ..observability.audit import AuditRecord
from ..observability.tracing import Tracing
from ..settings import SessionSettings
from .models import SessionPlan, SessionRequest, VaultSession
from .policy import plan_session


class SessionService:
    """Creates Vault sessions for callers."""

    def __init__(
        self, settings: SessionSettings, apideck: Mapping[str, ApideckClient], tracing: Tracing
    ) -> None:
        """Create the service.

        Args:
            settings: the settings of the policy.
            apideck: a client for each Unify app, by the operator's name for it.
            tracing: creates spans.
        """
        self._settings = settings
        self._apideck = apideck
        self._tracing = tracing
        self._in_flight: SingleFlight[Result[MintedSession]] = SingleFlight()

    async def create(
        self, caller: Caller, request: SessionRequest, audit: AuditRecord
    ) -> VaultSession:
        """Create one session for a caller.

        Args:
            caller: the caller.
            request: the session that they request.
            audit: gets consumer, redirect target, connector and Apideck's request ID.

        Raises:
            RequestRejectedError: the policy does not allow it; nothing was sent to Apideck.
            ApideckError: Apideck did not create the session.
            OutOfDescriptorsError: there is no file descriptor for a connection to Apideck.
        """
        try:
            with self._tracing.span("plan session"):
                plan = plan_session(caller, request, self._settings)
        except RequestRejectedError:
            audit.note_rejected_request(request)
            raise
        _record_plan(plan, audit)
        try:
            result = await self._create(caller, plan)
        except ApideckError as error:
            audit.apideck_request_id = error.request_id
            if not (rejected := rejected_fields(error, plan)):
                raise
            # In no variable: an error and a frame that refer to each other stay in memory.
            raise ApideckRejectedFieldsError(
                "Apideck rejected fields of the request.", reason=error.reason, errors=rejected
            ) from error
        audit.apideck_request_id, minted = result.request_id, result.value
        return VaultSession(
            redirect_url=minted.url(plan.connection),
            session_token=minted.session_token,
            expires_at=minted.expires_at,
        )

    async def _create(self, caller: Caller, plan: SessionPlan) -> Result[MintedSession]:
        apideck = self._apideck[caller.unify_app]
        if not self._settings.join_identical:
            return await create_session(apideck, plan.consumer_id, plan.session)
        # A double click: the same caller requests the same session while it is being created. The
        # caller is part of the key, so that no caller gets the session of another.
        key = (caller.identity, caller.unify_app, plan.consumer_id, orjson.dumps(plan.session))
        return await self._in_flight.join(
            key, lambda: create_session(apideck, plan.consumer_id, plan.session)
        )


def _record_plan(plan: SessionPlan, audit: AuditRecord) -> None:
    audit.consumer_id, audit.target = plan.consumer_id, plan.target
    if plan.connection is not None:
        audit.connection = f"{plan.connection['unified_api']}/{plan.connection['service_id']}"


def rejected_fields(error: ApideckError, plan: SessionPlan) -> list[FieldError]:
    """Return the fields of the caller's that Apideck rejected, if it did."""
    if not isinstance(error, ApideckRejectedRequestError):
        return []
    rejected = sorted(
        own
        for own in plan.caller_fields
        if any(_is_within(own, field) or _is_within(field, own) for field in error.fields)
    )
    return [FieldError(pointer, "Apideck rejected this value.") for pointer in rejected]


def _is_within(part: str, whole: str) -> bool:
    """Return whether one JSON Pointer equals another, or points into it."""
    return f"{part}/".startswith(f"{whole}/")
