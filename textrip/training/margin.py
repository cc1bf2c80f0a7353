"""Margins that fit their distance."""

from textrip.errors import InputError
from textrip.training.distance import largest_distance
from textrip.training.names import Distance


def require_possible(
    margin: float,
    distance: Distance,
    *,
    dimension: int,
    unit_vectors: bool,
    or_none: bool = False,
    name: str = "margin",
) -> None:
    """Raise InputError for a margin that no triplet could satisfy, or that asks for nothing.

    The hinge d_ap - d_an + margin is 0 at best where d_ap = 0 and d_an is the largest distance; with a
    margin above that distance it never is, and training pushes without end.

    Args:
        margin: In units of the distance.
        distance: What lies between an anchor and a document.
        dimension: Of the vectors.
        unit_vectors: The encoder normalises its vectors.
        or_none: The loss works without a margin: 0 is allowed.
        name: The setting's, for the message.
    """
    largest = largest_distance(distance, dimension=dimension, unit_vectors=unit_vectors)
    if not (0 < margin <= largest or (or_none and margin == 0)):
        most = "" if largest == float("inf") else f" and at most {largest:g}"
        vectors = " between unit vectors" if unit_vectors and distance != "cosine" else ""
        raise InputError(
            f"{name} is {margin:g}; for {distance} distance{vectors} it must be above 0{most}: "
            "no triplet could satisfy a larger one"
        )
