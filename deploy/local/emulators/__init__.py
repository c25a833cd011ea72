"""Emulators of the servers that Vault BFF uses: Apideck with its Hosted Vault, and an issuer.

The emulators and the service do not import each other, so that they cannot share a mistake. `make
demo` and the tests run the same emulators.
"""
