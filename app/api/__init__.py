"""HTTP in and out: requests become arguments; results and errors become responses."""
