"""Containers, for whichever tests want some."""

from collections.abc import Iterator

import pytest

from tests.support.containers import BASE, IMAGE, Engine


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Build the image with `make image` on a local base."""
    engine = Engine(tmp_path_factory.mktemp("containers"))
    engine.make_base()
    arguments = f"ARGS=--quiet --build-arg=BASE={BASE}"
    engine.command("make", "image", f"IMAGE={IMAGE}", arguments, timeout=300)
    yield engine
    engine.remove_everything()
