"""For whom a session is: a user's own consumer, or the one that a service names and was granted."""

from app.errors import ConsumerNotGrantedError, FieldError, InvalidRequestError
from app.identity.claims import usable_consumer_id
from app.identity.models import Caller
from app.sessions.models import SessionRequest
from app.vault import MAX_CONSUMER_ID_LENGTH, ConsumerMetadata


def consumer_of(caller: Caller, request: SessionRequest) -> tuple[str, ConsumerMetadata]:
    """Return the consumer that a session is for, and what people may read about it.

    The attack: a caller who names somebody else's consumer. A user's comes from their verified
    identity alone; a service names one, within the grant that the operator gave it.

    Raises:
        InvalidRequestError: when a service names none, or one that can be none.
        ConsumerNotGrantedError: when a service names one outside its grant.
    """
    if caller.consumer_id is not None:
        return caller.consumer_id, caller.consumer_metadata
    asked = request.get("consumer_id")
    if asked is None:
        raise InvalidRequestError(
            "Say for which consumer the session is.",
            errors=[FieldError("/consumer_id", "This field is required of a service.")],
        )
    if not usable_consumer_id(asked):
        fault = f"Must be 1 to {MAX_CONSUMER_ID_LENGTH} printable ASCII characters, without spaces."
        raise InvalidRequestError(
            "The consumer id is not usable.", errors=[FieldError("/consumer_id", fault)]
        )
    if not caller.may_mint_for(asked):
        raise ConsumerNotGrantedError(
            "This service account may not mint sessions for this consumer.",
            errors=[FieldError("/consumer_id", "Outside the grant of this service account.")],
        )
    return asked, request.get("consumer_metadata", ConsumerMetadata())
