"""Files that ship with mlkit (see ATTRIBUTION.md for where they come from)."""
