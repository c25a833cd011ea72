"""How much is too much: requests in flight, and requests per caller and in all over time."""
