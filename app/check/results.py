"""The lines that `vault-bff check` prints."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check.

    Attributes:
        about: what was checked, such as a setting.
        well: whether the check passed; None for a line that only informs.
        detail: what was found, without any secret.
    """

    about: str
    well: bool | None
    detail: str

    def __str__(self) -> str:
        """Return the result as a line."""
        word = "note" if self.well is None else "ok  " if self.well else "FAIL"
        return f"{word} {self.about}: {self.detail}"
