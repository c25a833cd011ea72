"""The container engine, shared by all tests that need one."""

from collections.abc import Iterator

import pytest

from tests.support.containers import IMAGE, Engine


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Build the image with `make image`, on a local base image."""
    engine = Engine(tmp_path_factory.mktemp("containers"))
    engine.make_base()
    engine.command("make", "image", f"IMAGE={IMAGE}", "ARGS=--quiet", timeout=600)
    yield engine
    engine.remove_everything()
