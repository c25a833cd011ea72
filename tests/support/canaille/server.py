"""Canaille, an identity provider, for the tests. It runs in a separate virtual environment.

It prints a line of JSON with its issuer URL when it is ready, and exits when its stdin is closed.
"""

import json
import sys
from threading import Thread

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import RSAKey
from werkzeug.serving import WSGIRequestHandler, make_server

SECRET = "opens-nothing"
SCOPE = ["openid", "profile", "email"]


class Silent(WSGIRequestHandler):
    """Logs no requests."""

    def log(self, *_: object) -> None:
        """Write nothing."""


def main() -> None:
    """Serve until stdin is closed."""
    server = make_server("127.0.0.1", 0, lambda *_: [], threaded=True, request_handler=Silent)
    address = f"127.0.0.1:{server.server_port}"
    app = create_app(
        {
            "SECRET_KEY": "of-a-test",
            "SERVER_NAME": address,
            "PREFERRED_URL_SCHEME": "http",
            "CANAILLE": {"DATABASE": "memory", "LOGGING": {"version": 1}},
            "CANAILLE_OIDC": {
                "ACTIVE_JWKS": [RSAKey.generate_key(2048, auto_kid=True).as_dict(private=True)]
            },
        }
    )
    with app.app_context():
        populate()
    server.app = app
    Thread(target=server.serve_forever).start()
    sys.stdout.write(json.dumps({"issuer": f"http://{address}"}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.shutdown()


def populate() -> None:
    """Create a person, a client for the service under test, and the clients of the callers."""
    person = models.User(
        user_name="ada",
        formatted_name="Ada Byron",
        family_name="Byron",
        emails=["ada@acme.example"],
        password=SECRET,
    )
    clients = [client("vault-bff"), client("spa"), client("robot")]
    for one in (person, *clients):
        Backend.instance.save(one)
    for one in clients:
        one.audience = [clients[0]]
        Backend.instance.save(one)


def client(client_id: str) -> "models.Client":
    """Return a client."""
    return models.Client(
        client_id=client_id,
        client_name=client_id,
        client_secret=SECRET,
        client_uri="http://client.localhost",
        redirect_uris=["http://client.localhost/callback"],
        grant_types=["client_credentials", "password"],
        response_types=["code"],
        scope=[*SCOPE, "vault:sessions"] if client_id == "robot" else SCOPE,
        token_endpoint_auth_method="client_secret_basic",
    )


main()
