"""From labelled texts to batches: P labels with K texts each, and what the texts are to one another.

"In Defense of the Triplet Loss for Person Re-Identification", Hermans et al., 2017, arXiv 1703.07737.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers.base.sampler import DefaultBatchSampler

from textrip.data.collection import Collection
from textrip.data.label_parts import with_several_texts
from textrip.data.words import normalised
from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.training.batch import Bucketed, numbered
from textrip.training.length import ROUNDING
from textrip.training.relations import Relation


class LabelSampler(DefaultBatchSampler):  # type: ignore[misc]
    """Batches of P labels and K texts of each, so that no batch is of one class.

    An epoch has as many batches as show, as a rule, as many texts as there are, and its draws follow the
    labels' sizes: a label of many texts comes often, and what it shows is what it has not shown for longest,
    in this epoch or an earlier one.
    A label of fewer than K texts shows them all; one of a single distinct text is left out.

    Args:
        collection: Labelled texts.
        batch_labels: P; all labels where there are fewer.
        texts_per_label: K.
        seed: The order is a function of seed and epoch alone.

    Raises:
        InputError: fewer than two labels have two distinct texts.
    """

    def __init__(self, collection: Collection, *, batch_labels: int, texts_per_label: int, seed: int) -> None:
        size = batch_labels * texts_per_label
        super().__init__(range(len(collection.corpus)), batch_size=size, drop_last=False, seed=seed)
        labels = collection.labels
        rows = with_several_texts(range(len(labels)), labels, collection.texts)
        if len(rows) < 2:
            raise InputError(
                f"{collection.name}: {len(rows)} of {len(set(labels))} labels have two distinct texts or "
                "more, at least 2 such labels were expected"
            )
        self.labels, self.rows = list(rows), list(rows.values())
        self.texts_per_label = texts_per_label
        self.batch_labels = min(batch_labels, len(rows))
        self.size = sum(map(len, self.rows))
        self.batches = math.ceil(self.size / self._texts_of_a_batch() - ROUNDING)
        # The epoch that decks are known before, and the decks: what every label has left to show.
        self._known: tuple[int, list[list[int]]] = 0, [[] for _ in self.rows]

    def __len__(self) -> int:
        return self.batches

    def _texts_of_a_batch(self) -> float:
        """How many texts a batch has as a rule: a label of fewer than K brings fewer."""
        sizes = np.asarray([len(rows) for rows in self.rows], dtype=np.float64)
        # What P draws by size come to, without replacement: labels that are large enough are in every batch.
        always = np.zeros(len(sizes), dtype=bool)
        while True:
            chance = np.where(always, 1.0, sizes * (self.batch_labels - always.sum()) / sizes[~always].sum())
            if not (sure := (chance > 1) & ~always).any():
                return float(chance @ np.minimum(sizes, self.texts_per_label))
            always |= sure

    def __iter__(self) -> Iterator[list[int]]:
        begun, decks = self._known if self._known[0] <= self.epoch else (0, [[] for _ in self.rows])
        decks = [list(deck) for deck in decks]
        for epoch in range(begun, self.epoch):  # a run that goes on has not been through them
            for _ in self._batches(epoch, decks):
                pass
        yield from self._batches(self.epoch, decks)
        self._known = self.epoch + 1, decks

    def _batches(self, epoch: int, decks: list[list[int]]) -> Iterator[list[int]]:
        """The batches of an epoch, off the decks."""
        draw = np.random.default_rng((self.seed, epoch))
        sizes = np.asarray([len(rows) for rows in self.rows], dtype=np.float64)
        for _ in range(len(self)):
            chosen = draw.choice(len(sizes), self.batch_labels, replace=False, p=sizes / sizes.sum())
            yield [row for label in chosen for row in self._take(decks[label], self.rows[label], draw)]

    def _take(self, deck: list[int], rows: list[int], draw: np.random.Generator) -> list[int]:
        """The next K texts of a label; its deck is shuffled anew when it is used up."""
        wanted = min(self.texts_per_label, len(rows))
        taken = [deck.pop() for _ in range(min(wanted, len(deck)))]
        if len(taken) < wanted:
            anew = draw.permutation(rows).tolist()
            # What was shown just now comes last, and in every round each once.
            deck.extend(sorted(anew, key=lambda row: row not in taken))
            taken += [deck.pop() for _ in range(wanted - len(taken))]
        return taken


class LabelCollator(Bucketed):
    """A batch of labelled texts in buckets of like length, each the anchor of its label's others.

    A row of the relations is a pair of an anchor and one positive, so that a strategy that compares every
    negative sees all triplets of the batch; the anchor's other positives are RELEVANT, its copies MASKED, and
    so is under another label a copy of any text of its own.
    """

    def __init__(self, collection: Collection, labels: Sequence[str], encoder: Encoder) -> None:
        super().__init__(encoder)
        self.texts, self.labels = collection.texts, collection.labels
        self.number = {label: number for number, label in enumerate(labels)}

    def __call__(self, features: Sequence[dict[str, int]]) -> dict[str, Any]:
        """Collate the texts at `features`' rows; shapes as GroupLoss wants them.

        The label has besides "classes" (n,) int64: the number of every text's label.
        """
        rows = [feature["group"] for feature in features]
        texts: list[str] = self.texts[rows]
        buckets = self.in_buckets(texts, "document")
        rows = [rows[place] for place in buckets.order]
        classes = np.asarray([self.number[self.labels[row]] for row in rows])
        keys = [normalised(texts[place]) for place in buckets.order]
        same = np.asarray([[one == other for other in keys] for one in keys])
        anchors, relations = _relations(classes, same)
        batch = numbered(buckets.features)
        batch["label"] = {
            "anchors": torch.from_numpy(anchors),
            "relations": torch.from_numpy(relations),
            "truncated": torch.tensor(buckets.truncated),
            "classes": torch.from_numpy(classes),
        }
        return batch


def _relations(
    classes: NDArray[np.int64], same: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """A row for each (anchor, positive): the anchors (b,) int64, and (b, n) int8 of Relation.

    Args:
        classes: (n,), the label of each text.
        same: (n, n), whether two texts are copies.
    """
    alike = classes[:, None] == classes[None, :]
    between = np.where(alike, Relation.RELEVANT, Relation.IN_BATCH).astype(np.int8)
    copied = (alike.astype(np.float32) @ same.astype(np.float32)) > 0  # of a text of the label
    between[same | (copied & ~alike)] = Relation.MASKED
    anchors, positives = np.nonzero(alike & ~same)
    relations = between[anchors]
    relations[np.arange(len(anchors)), positives] = Relation.POSITIVE
    return anchors, relations
