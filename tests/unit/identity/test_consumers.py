import pytest

from app.errors import ConsumerNotGrantedError, FieldNotPermittedError, InvalidRequestError
from app.identity.consumers import consumer_of
from app.identity.models import Caller

ADA = Caller("user", "main", "ada", "acme")
ROBOT = Caller("service", "jobs", "robot", None, grant=("acme", "eu-*"))


def test_the_consumer_of_a_user_comes_from_the_credential() -> None:
    """A request that names a consumer is rejected, even if it is the user's own."""
    assert consumer_of(ADA, None, "/query/consumer_id") == "acme"
    for requested in ("acme", "globex", ""):
        with pytest.raises(FieldNotPermittedError) as caught:
            consumer_of(ADA, requested, "/query/consumer_id")
        assert [fault.pointer for fault in caught.value.errors] == ["/query/consumer_id"]


@pytest.mark.parametrize("consumer_id", ["acme", "eu-1"])
def test_a_service_can_name_a_consumer_within_its_grant(consumer_id: str) -> None:
    """The grant contains the id, or a prefix of it."""
    assert consumer_of(ROBOT, consumer_id, "/consumer_id") == consumer_id


@pytest.mark.parametrize(
    ("consumer_id", "error"),
    [
        (None, InvalidRequestError),
        ("", InvalidRequestError),
        ("a b", InvalidRequestError),
        ("a" * 256, InvalidRequestError),
        ("acm\u0435", InvalidRequestError),
        ("globex", ConsumerNotGrantedError),
        ("Acme", ConsumerNotGrantedError),
        ("acme-2", ConsumerNotGrantedError),
    ],
)
def test_a_service_cannot_name_other_consumers(
    consumer_id: str | None, error: type[InvalidRequestError | ConsumerNotGrantedError]
) -> None:
    """The error names the field or the parameter."""
    with pytest.raises(error) as caught:
        consumer_of(ROBOT, consumer_id, "/consumer_id")

    assert [fault.pointer for fault in caught.value.errors] == ["/consumer_id"]
