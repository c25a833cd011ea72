"""Stand-ins for what Vault BFF talks to: Apideck with its Hosted Vault, and an issuer of tokens.

They import nothing from the service, and the service nothing from them: a mistake in its models
must not hide in the fake. `make demo` and the tests run the same ones.
"""
