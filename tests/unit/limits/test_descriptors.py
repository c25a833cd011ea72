import pytest

from app.limits.descriptors import RESERVED, descriptor_budget


@pytest.mark.parametrize(
    ("open_files_limit", "max_in_flight", "in_flight", "connections"),
    [
        (64, 1000, 16, 16),
        (1024, 1000, 496, 496),
        (RESERVED + 2000, 1000, 1000, 1000),
        (RESERVED + 2001, 1000, 1000, 1001),
        (1_048_576, 1000, 1000, 1_047_544),
        (1_048_576, 1, 1, 1_048_543),
        (10, 1000, 1, 1),
    ],
)
def test_every_admitted_request_has_two_descriptors(
    open_files_limit: int, max_in_flight: int, in_flight: int, connections: int
) -> None:
    """One is for the connection of the client, and one for the connection to Apideck."""
    budget = descriptor_budget(open_files_limit, max_in_flight)

    assert (budget.in_flight, budget.connections) == ((in_flight,), connections)


@pytest.mark.parametrize(
    ("open_files_limit", "in_flight", "connections"),
    [
        (64, (14, 1), 17),
        (1024, (450, 45), 497),
        (1_048_576, (1000, 100), 1_047_444),
        (10, (1, 1), 1),
    ],
)
def test_every_kind_of_request_is_reduced_in_proportion(
    open_files_limit: int, in_flight: tuple[int, int], connections: int
) -> None:
    """Requests of one kind never use the descriptors of another kind."""
    budget = descriptor_budget(open_files_limit, 1000, 100)

    assert (budget.in_flight, budget.connections) == (in_flight, connections)
