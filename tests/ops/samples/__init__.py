"""Rows of samples, one file a family of ops."""
