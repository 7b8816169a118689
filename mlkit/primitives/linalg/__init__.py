"""Records of linear algebra beyond products. Matrices are the last two axes; all axes before them are a batch."""
