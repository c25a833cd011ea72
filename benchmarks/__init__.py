"""Benchmarks and profiles; the Makefile has a target for each."""
