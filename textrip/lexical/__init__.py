"""Words: the analyzer and BM25."""
