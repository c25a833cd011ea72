"""The pictures in the docs."""

from pathlib import Path

import pytest

from tests.support.browser import missing
from tests.support.screenshots import IMAGES, photograph


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_the_command_makes_every_picture_of_the_docs(tmp_path: Path) -> None:
    """`make screenshots` writes the ones that are there, and no others."""
    photograph(tmp_path)

    made = {path.name for path in tmp_path.iterdir() if path.stat().st_size > 10_000}
    assert made == {path.name for path in IMAGES.glob("*.png")}
