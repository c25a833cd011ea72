"""Identity: a credential becomes a Caller, or the request ends here."""
