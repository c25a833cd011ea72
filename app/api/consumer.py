"""The consumer whose connections a request is for."""

from collections import Counter

from fastapi import Request

from ..errors import ConsumerNotGrantedError, FieldError, InvalidRequestError
from ..identity.consumers import consumer_of
from ..identity.models import Caller
from ..state import app_state, request_context
from .audit import audit_record
from .caller import enforce

_POINTER = "/query/consumer_id"


async def admitted_consumer(request: Request, caller: Caller, requested: str | None) -> str:
    """Return the consumer of a request, after counting the request against its rate limit.

    Args:
        request: the request.
        caller: its caller.
        requested: the consumer that its query names, if any.

    Raises:
        FieldNotPermittedError: a user names a consumer.
        InvalidRequestError: a service names none, or a parameter occurs twice.
        ConsumerNotGrantedError: a service names a consumer outside its grant.
        LimitError: there were too many requests for this consumer.
    """
    state, context = app_state(request.scope), request_context(request.scope)
    audit = audit_record(request)
    _check_repeated(request)
    try:
        consumer_id = consumer_of(caller, requested, _POINTER)
    except ConsumerNotGrantedError:
        audit.note_rejected_consumer(requested)
        raise
    audit.consumer_id = consumer_id
    enforce(await state["limits"].admit_consumer(caller.unify_app, consumer_id), context)
    return consumer_id


def _check_repeated(request: Request) -> None:
    """Reject a parameter that occurs twice: a proxy may have checked the other one."""
    counts = Counter(name for name, _ in request.query_params.multi_items())
    if repeated := sorted(name for name, count in counts.items() if count > 1):
        faults = [FieldError(f"/query/{name}", "This occurs more than once.") for name in repeated]
        raise InvalidRequestError("The request is not valid.", errors=faults)
