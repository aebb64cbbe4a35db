"""Floor 2: what follows from what was said, as pure folds and as DuckDB tables."""
