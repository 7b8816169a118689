"""Pictures of arrays and numbers: HTML that notebooks show, and matplotlib figures where it is installed. They know no model and no
data set, so that any room may show what it has; `mlkit.visualization` is where users find them."""
