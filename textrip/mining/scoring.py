"""Models that say how relevant a document is for a query, to a filter and to an audit."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from textrip.encoding.encoder import Encoder, digest_of_model
from textrip.encoding.kept import is_keeping, once
from textrip.encoding.load import quieten, resolve_device, saved_config
from textrip.encoding.openmp import prepare_torch
from textrip.encoding.turns import turn
from textrip.errors import InputError, NotFiniteError, first_line
from textrip.forked import cached_property

Pairs = Sequence[tuple[str, int]]
# What a run that is stopped has to score again at most.
_PAIRS_A_CHUNK = 4096


class Scorer(Protocol):
    """Scores pairs of a query and a document of a collection."""

    name: str

    def scores(self, pairs: Pairs, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n,) of n pairs of a query's text and a document's place in `texts`; higher is more relevant."""


class Reranker(Scorer, Protocol):
    """A scorer that serves one sequence of texts after the other."""

    def fresh(self) -> Scorer:
        """The same model, for another sequence of texts."""


class EncoderScorer:
    """The cosine of two vectors; every text is encoded once.

    One object serves one sequence of texts: vectors are kept by the documents' places.

    Args:
        encoder: Of queries and documents.
        vectors: (n, d) float32 of all documents, where they are there already.
    """

    def __init__(self, encoder: Encoder, vectors: NDArray[np.float32] | None = None) -> None:
        self.name = encoder.name
        self.encoder = encoder
        self._queries: dict[str, NDArray[np.float32]] = {}
        self._documents: dict[int, NDArray[np.float32]] = {}
        self._vectors = vectors

    def fresh(self) -> "EncoderScorer":
        """The same encoder, and no vectors."""
        return EncoderScorer(self.encoder)

    def scores(self, pairs: Pairs, texts: Sequence[str]) -> NDArray[np.float32]:
        """Cosines (n,) float32."""
        new_queries = list(dict.fromkeys(query for query, _ in pairs if query not in self._queries))
        known = self._documents if self._vectors is None else range(len(self._vectors))
        new_rows = sorted({row for _, row in pairs if row not in known})
        if new_queries:
            vectors = self.encoder.encode(new_queries, kind="query")
            self._queries.update(zip(new_queries, vectors, strict=True))
        if new_rows:
            vectors = self.encoder.encode([texts[row] for row in new_rows])
            self._documents.update(zip(new_rows, vectors, strict=True))
        documents = self._documents if self._vectors is None else self._vectors
        return np.array(
            [self._queries[query] @ documents[row] for query, row in pairs], dtype=np.float32
        ).reshape(len(pairs))


class CrossEncoderScorer:
    """A cross-encoder's own score of a pair (its logit, or what its activation makes of it)."""

    def __init__(self, model: Any, name: str) -> None:
        self.name = name
        self.model = model

    def fresh(self) -> "CrossEncoderScorer":
        """Itself: it keeps nothing."""
        return self

    def scores(self, pairs: Pairs, texts: Sequence[str]) -> NDArray[np.float32]:
        """Scores (n,) float32."""
        if not pairs:
            return np.empty(0, dtype=np.float32)
        about = [self._fingerprint] if is_keeping() else []
        parts = []
        for first in range(0, len(pairs), _PAIRS_A_CHUNK):
            chunk = [(query, texts[row]) for query, row in pairs[first : first + _PAIRS_A_CHUNK]]
            part, _ = once(about, ["\0".join(pair) for pair in chunk], partial(self._predict, chunk))
            parts.append(part)
        return np.concatenate(parts)

    def _predict(self, pairs: list[tuple[str, str]]) -> NDArray[np.float32]:
        try:
            with turn(self.model):
                found = np.asarray(self.model.predict(pairs, show_progress_bar=False), dtype=np.float32)
        except (MemoryError, RuntimeError, OSError):  # of the machine
            raise
        except Exception as error:  # of a tokenizer that is another model's, of one that has no padding
            raise InputError(
                f"{self.name}: cannot score a pair: {first_line(error)}; name another cross-encoder"
            ) from error
        if found.ndim != 1:
            raise InputError(
                f"{self.name}: gives {found.shape[1]} scores for a pair, one was expected of a cross-encoder"
            )
        if not np.isfinite(found).all():
            raise NotFiniteError(f"{self.name}: gives scores that are not finite; its weights are damaged")
        return found

    @cached_property
    def _fingerprint(self) -> str:
        """A digest of weights, configuration and length."""
        settings = {"config": str(self.model.config), "length": self.model.max_seq_length}
        return digest_of_model(self.model.model, settings)


def load_scorer(name: str, *, device: str = "auto", max_length_tokens: int | None = None) -> Reranker:
    """An encoder, or a cross-encoder where the folder's configuration says that it classifies.

    Raises:
        InputError: no such folder, or nothing in it that can be read.
        OfflineError: the name is only on the hub and the hub is out of reach.
    """
    kinds = saved_config(name).get("architectures") or []
    if any("SequenceClassification" in str(kind) for kind in kinds):
        return CrossEncoderScorer(_cross_encoder(name, resolve_device(device), max_length_tokens), name)
    return EncoderScorer(Encoder.load(name, device=device, max_length_tokens=max_length_tokens))


def _cross_encoder(name: str, device: str, max_length_tokens: int | None) -> Any:
    from sentence_transformers import CrossEncoder

    prepare_torch()
    quieten()
    try:
        return CrossEncoder(name, device=device, max_length=max_length_tokens)
    except Exception as error:  # each format of a damaged file has an error of its own
        raise InputError(f"{name}: cannot be loaded as a cross-encoder: {first_line(error)}") from error
