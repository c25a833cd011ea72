"""The screenshots in the docs."""

from pathlib import Path

from playwright.sync_api import Browser

from tests.support.demo_stack import DemoStack
from tests.support.screenshots import IMAGES, SHOTS, take_screenshots


def test_the_command_takes_the_screenshots_of_the_docs(
    tmp_path: Path, stack: DemoStack, browser: Browser
) -> None:
    """`make screenshots` writes exactly the images that the docs have."""
    take_screenshots(tmp_path, stack, browser)

    written = {path.name for path in tmp_path.iterdir() if path.stat().st_size > 10_000}
    assert written == {path.name for path in IMAGES.glob("*.png")}
    assert len(written) == sum(len(files) for _, _, files in SHOTS)
