"""Rows for decompositions and solvers."""

ROWS = {}
