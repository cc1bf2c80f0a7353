"""Texts to vectors: loading, encoding and saving a sentence-transformers model."""
