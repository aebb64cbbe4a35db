"""The warehouse, its views and what is read from them, on real DuckDB files."""
