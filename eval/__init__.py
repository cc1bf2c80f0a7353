"""Proof: measures, evaluation over the whole corpus, paired tests."""
