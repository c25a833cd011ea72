"""An emulator of Apideck's `POST /vault/sessions`, with a stand-in for the Hosted Vault."""

from emulators.apideck.emulator import ApideckEmulator

__all__ = ["ApideckEmulator"]
