"""Primitives: the records of all ops, fused ones too, and what defines them. Imports core alone."""
