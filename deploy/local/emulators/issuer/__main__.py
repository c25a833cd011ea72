"""`python -m emulators.issuer --port 8002`."""

from emulators.issuer import DevelopmentIssuer
from emulators.running import run

if __name__ == "__main__":
    run("Development issuer", 8002, DevelopmentIssuer())
