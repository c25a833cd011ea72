"""Signing secrets in a file, and their rotation without a restart."""

from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from ..common.secret_file import SecretFile, describe
from ..settings.webhooks import SECRET_PREFIX, signing_secrets
from .relay import Target

logger = structlog.get_logger(__name__)


class SigningSecretFile:
    """The file with the signing secrets of one target."""

    def __init__(
        self, unify_app: str, target: Target, path: Path, add_secret: Callable[[str], None]
    ) -> None:
        """Create it; the target has the secrets that the file held at the start.

        Args:
            unify_app: the operator's name for the Unify app.
            target: gets new secrets.
            path: the file.
            add_secret: is called with every secret that is ever used, so that none can be logged.
        """
        self._unify_app = unify_app
        self._target = target
        self._file = SecretFile(path)
        self._add_secret = add_secret
        self._fault: str | None = None

    async def refresh(self) -> None:
        """Read the file again; while it holds no usable secret, the last ones stay in use."""
        try:
            secrets = signing_secrets(await self._file.read())
        except (OSError, ValueError) as error:
            fault = describe(error)
            if fault != self._fault:
                # Without the exception: its traceback might show the content of the file.
                logger.error(  # noqa: TRY400
                    "signing_secret_refused", application=self._unify_app, fault=fault
                )
            self._fault = fault
            return
        self._fault = None
        redact(secrets, self._add_secret)
        if self._target.use(secrets):
            logger.info("signing_secret_changed", application=self._unify_app)


def redact(secrets: Iterable[str], add_secret: Callable[[str], None]) -> None:
    """Have signing secrets redacted, with and without their prefix."""
    for one in secrets:
        add_secret(one)
        add_secret(one.removeprefix(SECRET_PREFIX))
