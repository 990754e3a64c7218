"""Benchmarks: one command each, one fresh process a contender, JSON and a table out."""
