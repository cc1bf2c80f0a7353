"""Keywords of clusters by class-based TF-IDF (Grootendorst, BERTopic, 2022, arXiv 2203.05794)."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer

# Words of two letters or more that do not begin with a digit; code and numbers name nothing.
_WORD = r"(?u)\b[^\W\d_]\w+\b"


def keywords(
    texts: Iterable[str], labels: NDArray[np.int64], *, clusters: int, count: int = 8
) -> list[list[str]]:
    """The words that set each cluster apart, the strongest first; equal ones in order of the alphabet.

    A word's weight in a cluster is its share of the cluster's words times log(1 + A / f), f its count in
    all and A the mean number of words of a cluster.

    Args:
        texts: n texts.
        labels: (n,) cluster of each text, 0 to clusters - 1.
        clusters: How many there are.
        count: How many words for each.
    """
    vectorizer = CountVectorizer(stop_words="english", token_pattern=_WORD)
    try:
        counted = vectorizer.fit_transform(texts)  # (n, words)
    except ValueError:  # not a single word in all of the texts
        return [[] for _ in range(clusters)]
    members = csr_matrix(
        (np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(clusters, len(labels))
    )
    frequencies = (members @ counted).toarray()  # (clusters, words)
    of_word = frequencies.sum(axis=0)
    of_cluster = frequencies.sum(axis=1, keepdims=True)
    weights = frequencies / np.maximum(of_cluster, 1) * np.log1p(of_cluster.mean() / of_word)
    words = vectorizer.get_feature_names_out()  # in order of the alphabet
    chosen = np.argsort(-weights, axis=1, kind="stable")[:, :count]
    return [
        [str(words[word]) for word in row if weights[cluster, word] > 0] for cluster, row in enumerate(chosen)
    ]
