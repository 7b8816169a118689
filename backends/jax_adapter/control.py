"""Rows for control flow: the sub-graphs run inside lax.cond, while_loop and scan."""

ROWS = {}
