"""An emulator of Apideck's Vault API and of the Hosted Vault's pages."""

from emulators.apideck.emulator import ApideckEmulator

__all__ = ["ApideckEmulator"]
