"""From judgments to triples: BM25 hard negatives that are not judged relevant, not copies, not random."""
