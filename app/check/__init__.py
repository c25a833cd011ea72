"""What `vault-bff check` does beyond reading the settings."""
