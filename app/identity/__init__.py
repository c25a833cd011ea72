"""Identity: checks a request's credential and returns the caller that it proves."""
