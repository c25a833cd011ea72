"""The redirect target of a session: a registered one, by its name or its exact string."""

from ..errors import FieldError, InvalidRequestError, RedirectNotAllowedError
from ..settings import SessionSettings
from .models import SessionRequest


def redirect_target(
    request: SessionRequest, settings: SessionSettings
) -> tuple[str | None, str | None]:
    """Return the name and the URI of the redirect target, or None and None for no target.

    The attack: a redirect URI that one parser takes for a registered one and a browser for the
    attacker's. So nothing is parsed. The string must equal a registered one byte for byte, and the
    registered string is sent, never the caller's.

    Raises:
        InvalidRequestError: the request has both a name and a URI.
        RedirectNotAllowedError: the target is not registered.
    """
    if "return_to" in request and "redirect_uri" in request:
        raise InvalidRequestError(
            "The request names a redirect target twice.",
            errors=[FieldError("/redirect_uri", "Not together with return_to.")],
        )
    if "redirect_uri" in request:
        for name, registered in settings.return_to.items():
            if registered == request["redirect_uri"]:
                return name, registered
        raise _not_registered("/redirect_uri", "This redirect URI is not registered.")
    requested = request.get("return_to", settings.default_return_to)
    if requested is None:
        return None, None
    if requested not in settings.return_to:
        raise _not_registered("/return_to", "No redirect target has this name.")
    return requested, settings.return_to[requested]


def _not_registered(pointer: str, detail: str) -> RedirectNotAllowedError:
    return RedirectNotAllowedError(
        "The redirect target is not registered with this service.",
        errors=[FieldError(pointer, detail)],
    )
