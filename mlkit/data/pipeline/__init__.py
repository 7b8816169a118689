"""The algebra behind `Dataset`: each transformation is a node, and each pass over one an iterator whose position can be saved."""
