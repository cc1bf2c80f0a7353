"""Keywords of clusters by class-based TF-IDF (Grootendorst, BERTopic, 2022, arXiv 2203.05794).

Alone it names every cluster by the language's commonest words, where no list tells them: here a word counts
by what its share in the cluster has above its share in the rest.
"""

import re
import unicodedata
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer

from textrip.data.words import words

# The list of stop words has "not" and "have": of "doesn't" and "we've" it would leave "doesn" and "ve".
_CONTRACTED = re.compile(r"\b(?:\w+n['\u2019]t|(?<=\w)['\u2019](?:s|re|ve|ll|d|m))\b")
_NOTHING = 1e-12  # what rounding leaves of a word that every cluster has the same share of


def keywords(
    texts: Iterable[str], labels: NDArray[np.int64], *, clusters: int, count: int = 8
) -> list[list[str]]:
    """The words that set each cluster apart, the strongest first; equal ones in order of the alphabet.

    A word's weight in a cluster is s log(1 + A / f) (1 - r / s), s its share of the cluster's words and r of
    all others', f its count in all and A the mean number of words of a cluster.

    Args:
        texts: n texts.
        labels: (n,) cluster of each text, 0 to clusters - 1.
        clusters: How many there are.
        count: How many words for each.
    """
    vectorizer = CountVectorizer(stop_words="english", tokenizer=_words, token_pattern=None, lowercase=False)
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
    shares = frequencies / np.maximum(of_cluster, 1)
    elsewhere = (of_word - frequencies) / np.maximum(of_cluster.sum() - of_cluster, 1)
    weights = np.maximum(shares - elsewhere, 0) * np.log1p(of_cluster.mean() / of_word)
    names = vectorizer.get_feature_names_out()  # in order of the alphabet
    chosen = np.argsort(-weights, axis=1, kind="stable")[:, :count]
    return [
        [str(names[word]) for word in row if weights[cluster, word] > _NOTHING]
        for cluster, row in enumerate(chosen)
    ]


def _words(text: str) -> list[str]:
    """Words of two letters or more that do not begin with a digit; code and numbers name nothing."""
    found = words(_CONTRACTED.sub("", unicodedata.normalize("NFKC", text).lower()))
    return [word for word in found if len(word) > 1 and word[0].isalpha()]
