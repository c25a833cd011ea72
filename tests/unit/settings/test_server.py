import pytest
from pydantic import ValidationError

from app.settings import ServerSettings


@pytest.mark.parametrize(("given", "workers"), [("auto", "auto"), ("2", 2), (128, 128), ("1", 1)])
def test_the_number_of_workers_is_a_number_or_auto(given: object, workers: object) -> None:
    """The environment gives text, the file a number."""
    settings = ServerSettings.model_validate({"workers": given, "internal_port": 9000})

    assert settings.workers == workers


@pytest.mark.parametrize("given", ["0", 0, 129, "-1", "2.0", 2.5, True, "all", "", None, "\u0662"])
def test_another_number_of_workers_is_a_fault(given: object) -> None:
    """The message says what is expected."""
    with pytest.raises(ValidationError, match="must be auto, or a whole number from 1 to 128"):
        ServerSettings.model_validate({"workers": given, "internal_port": 9000})


@pytest.mark.parametrize("workers", [2, "auto"])
def test_several_workers_need_an_internal_port(workers: object) -> None:
    """Probes and metrics on the public port would be those of one worker."""
    with pytest.raises(ValidationError, match="needs internal_port"):
        ServerSettings.model_validate({"workers": workers})
