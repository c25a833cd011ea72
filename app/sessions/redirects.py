"""Where a session may lead back to: a registered target, by its name or by its exact string."""

from app.errors import FieldError, InvalidRequestError, RedirectNotAllowedError
from app.sessions.models import SessionRequest
from app.settings import SessionSettings


def redirect_target(
    request: SessionRequest, settings: SessionSettings
) -> tuple[str | None, str | None]:
    """Return the name and the URI of the redirect target, or two Nones for no way back.

    The attack: a redirect URI that a parser takes for a registered one and a browser for the
    attacker's. Nothing is parsed here. The string must equal a configured one byte for byte, and
    what is forwarded is the configured string, never the caller's.

    Raises:
        InvalidRequestError: when the request names a target and a URI.
        RedirectNotAllowedError: when what it names is not registered.
    """
    if "return_to" in request and "redirect_uri" in request:
        raise InvalidRequestError(
            "Name the redirect target once.",
            errors=[FieldError("/redirect_uri", "Not together with return_to.")],
        )
    if "redirect_uri" in request:
        for name, registered in settings.return_to.items():
            if registered == request["redirect_uri"]:
                return name, registered
        raise _not_registered("/redirect_uri", "This redirect URI is not registered here.")
    asked = request.get("return_to", settings.default_return_to)
    if asked is None:
        return None, None
    if asked not in settings.return_to:
        raise _not_registered("/return_to", "No redirect target has this name.")
    return asked, settings.return_to[asked]


def _not_registered(pointer: str, detail: str) -> RedirectNotAllowedError:
    return RedirectNotAllowedError(
        "The redirect target is not registered with this service.",
        errors=[FieldError(pointer, detail)],
    )
