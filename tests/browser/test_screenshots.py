"""The screenshots in the docs."""

from pathlib import Path

import pytest

from tests.support.browser import missing
from tests.support.screenshots import IMAGES, take_screenshots


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_the_command_takes_every_screenshot_of_the_docs(tmp_path: Path) -> None:
    """`make screenshots` writes exactly the images that the docs have."""
    take_screenshots(tmp_path)

    written = {path.name for path in tmp_path.iterdir() if path.stat().st_size > 10_000}
    assert written == {path.name for path in IMAGES.glob("*.png")}
