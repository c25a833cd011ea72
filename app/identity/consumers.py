"""The consumer of a request: the user's own, or one that a service names within its grant."""

from ..errors import (
    ConsumerNotGrantedError,
    FieldError,
    FieldNotPermittedError,
    InvalidRequestError,
)
from ..vault import MAX_CONSUMER_ID_LENGTH
from .claims import usable_consumer_id
from .models import Caller


def consumer_of(caller: Caller, requested: str | None, pointer: str) -> str:
    """Return the consumer that a request is for.

    The attack: a caller names another customer's consumer. A user's consumer comes from their
    verified identity alone; a service names one within the grant that the operator gave it.

    Args:
        caller: the caller.
        requested: the consumer that the request names, if any.
        pointer: where the request names it, as a JSON Pointer.

    Raises:
        FieldNotPermittedError: a user names a consumer, even their own.
        InvalidRequestError: a service names no consumer, or an impossible one.
        ConsumerNotGrantedError: a service names a consumer outside its grant.
    """
    if caller.consumer_id is not None:
        if requested is not None:
            raise FieldNotPermittedError(
                "The request contains fields that you may not set.",
                errors=[FieldError(pointer, "You may not set this field.")],
            )
        return caller.consumer_id
    if requested is None:
        raise InvalidRequestError(
            "The request does not name a consumer.",
            errors=[FieldError(pointer, "This field is required for a service.")],
        )
    if not usable_consumer_id(requested):
        fault = f"Must be 1 to {MAX_CONSUMER_ID_LENGTH} printable ASCII characters without spaces."
        raise InvalidRequestError(
            "The consumer ID is invalid.", errors=[FieldError(pointer, fault)]
        )
    if not caller.may_act_for(requested):
        raise ConsumerNotGrantedError(
            "This service may not act for this consumer.",
            errors=[FieldError(pointer, "Outside the grant of this service.")],
        )
    return requested
