"""Why an event is not forwarded.

* WebhookError                a VaultBffError
  + InvalidSignatureError   no valid signature, so not known to be from Apideck
  + InvalidEventError       signed by Apideck, but without a usable id, type or time
  + StaleEventError         signed by Apideck, but too long ago
  + RelayOverloadedError    as many events as allowed are being received or forwarded
  + TargetFailedError       the target cannot be reached, or did not answer with a 2xx
  + TargetTimeoutError      the target did not respond in time

Apideck delivers an event again unless it gets a 2xx.
"""

from ..errors import VaultBffError


class WebhookError(VaultBffError):
    """Apideck's event was not forwarded.

    `detail` is for Apideck, whose dashboard shows it to the operator; `reason` never holds a part
    of the event.
    """


class InvalidSignatureError(WebhookError):
    """The request has no valid signature, so it is not known to be from Apideck."""


class InvalidEventError(WebhookError):
    """The signed content is an event without a usable id, type or time."""


class StaleEventError(WebhookError):
    """The event happened too long ago, or is dated in the future."""


class RelayOverloadedError(WebhookError):
    """As many events as allowed are being received or forwarded."""


class TargetFailedError(WebhookError):
    """The target cannot be reached, or responded with something else than a 2xx."""


class TargetTimeoutError(WebhookError):
    """The target did not respond in time."""
