"""`python -m emulators.apideck --port 8001`."""

from emulators.apideck.emulator import from_environment
from emulators.running import run

if __name__ == "__main__":
    run("Apideck emulator and stand-in Hosted Vault", 8001, from_environment())
