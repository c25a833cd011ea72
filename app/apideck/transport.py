"""The HTTP client that talks to Apideck, and nothing else about Apideck."""

import httpx
from pydantic import SecretStr

from app.apideck.auth import ApiKeyAuth
from app.settings import ApideckSettings


def apideck_http_client(settings: ApideckSettings, key: SecretStr) -> httpx.AsyncClient:
    """Return a client with everything on it that is the same for every request.

    No redirect is ever followed: across hosts httpx strips the Authorization header only, and the
    app and consumer headers would go wherever the redirect points. There is no timeout of its
    own, because the deadline of the whole call covers every phase.
    """
    return httpx.AsyncClient(
        base_url=settings.base_url,
        auth=ApiKeyAuth(key),
        headers={
            "x-apideck-app-id": settings.app_id,
            "accept": "application/json",
            # Answers are small, and what is not compressed cannot be a decompression bomb.
            "accept-encoding": "identity",
            "user-agent": "vault-bff",
        },
        follow_redirects=False,
        timeout=None,  # noqa: S113 - see above
        trust_env=False,
    )
