"""Types and URLs for the tests of `python -m app check`."""

from collections.abc import Callable

Check = Callable[..., tuple[int, list[str]]]
HOME, ELSEWHERE = "https://app.example.com/home", "https://app.example.com/elsewhere"
