"""The consumer of a session: the user's own, or one that a service names within its grant."""

from app.errors import ConsumerNotGrantedError, FieldError, InvalidRequestError
from app.identity.claims import usable_consumer_id
from app.identity.models import Caller
from app.sessions.models import SessionRequest
from app.vault import MAX_CONSUMER_ID_LENGTH, ConsumerMetadata


def consumer_of(caller: Caller, request: SessionRequest) -> tuple[str, ConsumerMetadata]:
    """Return the consumer that a session is for, and its metadata for people to read.

    The attack: a caller names another customer's consumer. A user's consumer comes from their
    verified identity alone; a service names one within the grant that the operator gave it.

    Raises:
        InvalidRequestError: a service names no consumer, or an impossible one.
        ConsumerNotGrantedError: a service names a consumer outside its grant.
    """
    if caller.consumer_id is not None:
        return caller.consumer_id, caller.consumer_metadata
    requested = request.get("consumer_id")
    if requested is None:
        raise InvalidRequestError(
            "The request does not name a consumer.",
            errors=[FieldError("/consumer_id", "This field is required for a service.")],
        )
    if not usable_consumer_id(requested):
        fault = f"Must be 1 to {MAX_CONSUMER_ID_LENGTH} printable ASCII characters without spaces."
        raise InvalidRequestError(
            "The consumer ID is invalid.", errors=[FieldError("/consumer_id", fault)]
        )
    if not caller.may_mint_for(requested):
        raise ConsumerNotGrantedError(
            "This service may not create sessions for this consumer.",
            errors=[FieldError("/consumer_id", "Outside the grant of this service.")],
        )
    return requested, request.get("consumer_metadata", ConsumerMetadata())
