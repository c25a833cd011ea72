"""The order of things: the policy decides, Apideck mints, the caller gets a link."""

from collections.abc import Mapping

import orjson

from app.apideck.client import ApideckClient
from app.apideck.models import MintedSession
from app.common.single_flight import SingleFlight
from app.errors import (
    ApideckError,
    ApideckRejectedFieldsError,
    ApideckRejectedRequestError,
    FieldError,
    RequestRejectedError,
)
from app.identity.models import Caller
from app.observability.audit import AuditRecord
from app.observability.tracing import Tracing
from app.sessions.models import SessionPlan, SessionRequest, VaultLink
from app.sessions.policy import plan_session
from app.settings import SessionSettings


class SessionService:
    """Mints Vault sessions for callers."""

    def __init__(
        self, settings: SessionSettings, apideck: Mapping[str, ApideckClient], tracing: Tracing
    ) -> None:
        """Take what sessions may be, and whom to ask for them.

        Args:
            settings: what the policy goes by.
            apideck: a client of each Unify app, by the operator's name for it.
            tracing: makes spans.
        """
        self._settings = settings
        self._apideck = apideck
        self._tracing = tracing
        self._under_way: SingleFlight[MintedSession] = SingleFlight()

    async def mint(self, caller: Caller, request: SessionRequest, audit: AuditRecord) -> VaultLink:
        """Mint one session for a caller.

        Args:
            caller: who asks.
            request: what they ask for.
            audit: is told for whom, where to, and under which id at Apideck.

        Raises:
            RequestRejectedError: when the policy says no; Apideck saw nothing of it.
            ApideckError: when Apideck does not make the session.
        """
        try:
            with self._tracing.span("plan session"):
                plan = plan_session(caller, request, self._settings)
        except RequestRejectedError:
            audit.note_rejected_request(request)
            raise
        _note(plan, audit)
        try:
            minted = await self._minted(caller, plan)
        except ApideckError as error:
            audit.apideck_request_id = error.request_id
            raise _blame(error, plan) from error
        audit.apideck_request_id = minted.request_id
        return VaultLink(minted.url(plan.connection), minted.session_token, minted.expires_at)

    async def _minted(self, caller: Caller, plan: SessionPlan) -> MintedSession:
        apideck = self._apideck[caller.unify_app]
        if not self._settings.join_identical:
            return await apideck.create_session(plan.consumer_id, plan.session)
        # A double click: the same caller wants the very same session as one that is on its way.
        # The caller is part of the key, so that nobody is ever given somebody else's session.
        key = (caller.identity, caller.unify_app, plan.consumer_id, orjson.dumps(plan.session))
        return await self._under_way.join(
            key, lambda: apideck.create_session(plan.consumer_id, plan.session)
        )


def _note(plan: SessionPlan, audit: AuditRecord) -> None:
    audit.consumer_id, audit.target = plan.consumer_id, plan.target
    if plan.connection is not None:
        audit.connection = f"{plan.connection['unified_api']}/{plan.connection['service_id']}"


def _blame(error: ApideckError, plan: SessionPlan) -> ApideckError:
    """Return the error as the caller's where Apideck refused what the caller supplied."""
    if not isinstance(error, ApideckRejectedRequestError):
        return error
    callers = sorted(
        own
        for own in plan.callers_own
        if any(_within(own, field) or _within(field, own) for field in error.fields)
    )
    if not callers:
        return error
    return ApideckRejectedFieldsError(
        "Apideck refuses fields of the request.",
        reason=error.reason,
        errors=[FieldError(pointer, "Apideck refuses this value.") for pointer in callers],
    )


def _within(part: str, whole: str) -> bool:
    """Tell whether one JSON Pointer leads to what another does, or into it."""
    return f"{part}/".startswith(f"{whole}/")
