import pytest

from app.identity.models import Caller


@pytest.mark.parametrize(
    ("grant", "consumer", "covered"),
    [
        ((), "acme", False),
        (("acme",), "acme", True),
        (("acme",), "acme2", False),
        (("acme",), "acm", False),
        (("eu-*",), "eu-acme", True),
        (("eu-*",), "eu-", True),
        (("eu-*",), "eu", False),
        (("eu-*",), "us-eu-acme", False),
        (("eu-*",), "eu-*", True),
        (("*",), "anything", True),
        (("acme", "eu-*"), "eu-acme", True),
        (("ACME",), "acme", False),
    ],
)
def test_a_grant_covers_exact_ids_and_prefixes(
    grant: tuple[str, ...], consumer: str, *, covered: bool
) -> None:
    """An asterisk at the end matches any characters; every other character is literal."""
    service = Caller("service", "jobs", "job", None, grant=grant)

    assert service.may_act_for(consumer) is covered


def test_the_identity_of_a_caller_includes_the_actor() -> None:
    """A user with an actor and the same user without one are two callers."""
    ada = Caller("user", "main", "ada", "acme", {"user_name": "Ada"}, actor="help")

    assert ada.identity == ("user", "main", "ada", "help")
    assert "Ada" not in repr(ada)
