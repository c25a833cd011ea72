"""The screenshots in the docs."""

from tests.support.demo_stack import ROOT
from tests.support.screenshots import IMAGES, SHOTS


def test_the_command_takes_the_screenshots_of_the_docs() -> None:
    """`make screenshots` writes exactly the images of the docs, of states that the docs list."""
    page = (ROOT / "docs" / "frontend.md").read_text()
    states = {state: name for _, _, files in SHOTS for state, name in files.items()}

    assert {f"{name}.png" for name in states.values()} == {
        path.name for path in IMAGES.glob("*.png")
    }
    assert len(states) == sum(len(files) for _, _, files in SHOTS)
    # Another test leads a browser through exactly these states.
    assert [state for state in states if f"\n| {state} |" not in page] == []
