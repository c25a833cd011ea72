"""What `python -m app check` does beyond reading the settings."""
