"""Benchmarks and profilers; the Makefile has a target for each."""
