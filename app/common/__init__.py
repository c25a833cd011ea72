"""What any package may use: URLs, strict JSON, single flight, circuit breaker, HTTP transport."""
