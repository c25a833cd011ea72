"""The screenshots in the docs."""

from tests.support.demo_stack import ROOT
from tests.support.screenshots import IMAGES, SHOTS


def test_make_screenshots_writes_exactly_the_images_of_the_docs() -> None:
    """The docs contain no other image, and list every state of which there is an image."""
    page = (ROOT / "docs" / "frontend.md").read_text()
    states = {state: name for _, _, files in SHOTS for state, name in files.items()}

    assert {f"{name}.png" for name in states.values()} == {
        path.name for path in IMAGES.glob("*.png")
    }
    assert len(states) == sum(len(files) for _, _, files in SHOTS)
    # test_access.py opens exactly the states that the docs list.
    assert [state for state in states if f"\n| {state} |" not in page] == []
