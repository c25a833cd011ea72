import pytest
from pydantic import ValidationError

from app.settings import ServerSettings


@pytest.mark.parametrize(("given", "workers"), [("auto", "auto"), ("2", 2), (128, 128), ("1", 1)])
def test_the_number_of_workers_is_a_number_or_auto(given: object, workers: object) -> None:
    """The environment contains text, and the configuration file can contain a number."""
    settings = ServerSettings.model_validate({"workers": given, "internal_port": 9000})

    assert settings.workers == workers


@pytest.mark.parametrize("given", ["0", 0, 129, "-1", "2.0", 2.5, True, "all", "", None, "\u0662"])
def test_an_invalid_number_of_workers_is_rejected(given: object) -> None:
    """The message states the allowed values."""
    with pytest.raises(ValidationError, match="must be auto, or a whole number from 1 to 128"):
        ServerSettings.model_validate({"workers": given, "internal_port": 9000})


@pytest.mark.parametrize("workers", [2, "auto"])
def test_several_workers_need_an_internal_port(workers: object) -> None:
    """On the public port, probes and metrics would reach only one worker."""
    with pytest.raises(ValidationError, match="needs internal_port"):
        ServerSettings.model_validate({"workers": workers})
