"""The core: what an op is and how calls of ops are read. Imports nothing of mlkit above itself."""
