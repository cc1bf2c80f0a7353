"""Finding: dense search, fusion, and the index on disk."""
