"""Runs `python -m app check` in the process of the tests."""

from collections.abc import Callable

Check = Callable[..., tuple[int, list[str]]]
HOME, ELSEWHERE = "https://app.example.com/home", "https://app.example.com/elsewhere"
