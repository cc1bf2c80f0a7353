"""Clusters: found where there are any, numbered by size, the same every time; bad wishes are refused."""

import json
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from textrip.clustering.cluster import Cluster, cluster_vectors, default_k
from textrip.data.collection import Collection
from textrip.errors import InputError
from textrip.pipeline import cluster as whole

Vectors = NDArray[np.float32]


def unit(vectors: NDArray[np.floating]) -> Vectors:
    lengths: NDArray[np.floating] = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / lengths).astype(np.float32)


def random_vectors(n: int, dimension: int = 8, seed: int = 0) -> Vectors:
    return unit(np.random.default_rng(seed).standard_normal((n, dimension)))


def blobs(sizes: Sequence[int]) -> tuple[list[str], list[str], Vectors]:
    """Blobs around axes at right angles: ids `a0 a1 ... b0 ...`, a text of the blob's own word."""
    draw = np.random.default_rng(1)
    ids, texts, parts = [], [], []
    for blob, size in enumerate(sizes):
        ids += [f"{'abcdef'[blob]}{number}" for number in range(size)]
        texts += [f"{['rose', 'boat', 'oven', 'drum'][blob]} word"] * size
        parts.append(np.eye(6)[blob] + draw.normal(0, 0.05, (size, 6)))
    return ids, texts, unit(np.concatenate(parts))


def clustered(vectors: Vectors, k: int | None, **settings: int) -> list[Cluster]:
    ids = [f"d{row:03d}" for row in range(len(vectors))]
    return cluster_vectors(ids, ["word"] * len(vectors), vectors, k=k, **settings)


def test_blobs_are_found_exactly_and_numbered_by_size() -> None:
    ids, texts, vectors = blobs([3, 7, 5])
    found = cluster_vectors(ids, texts, vectors, k=3)
    assert [cluster.cluster for cluster in found] == [0, 1, 2]
    assert [cluster.size for cluster in found] == [7, 5, 3]
    assert [cluster.doc_ids for cluster in found] == [ids[3:10], ids[10:], ids[:3]]
    assert [cluster.keywords[0] for cluster in found] == ["boat", "oven", "rose"]


def test_equal_sizes_are_numbered_by_their_first_doc_id() -> None:
    ids, texts, vectors = blobs([4, 4, 4])
    renamed = {"a": "m", "b": "z", "c": "k"}
    ids = [renamed[doc_id[0]] + doc_id[1:] for doc_id in ids]
    found = cluster_vectors(ids, texts, vectors, k=3)
    assert [cluster.doc_ids[0] for cluster in found] == ["k0", "m0", "z0"]
    ids[8:12] = ["k0", "zz1", "zz2", "zz3"]  # the first one counts, and not the last
    found = cluster_vectors(ids, texts, vectors, k=3)
    assert [cluster.doc_ids[0] for cluster in found] == ["k0", "m0", "z0"]


@given(st.randoms(use_true_random=False), st.integers(0, 3))
@settings(max_examples=10, deadline=None)
def test_the_order_of_documents_changes_nothing_where_there_are_blobs(draw: random.Random, seed: int) -> None:
    ids, texts, vectors = blobs([3, 7, 5])
    order = list(range(len(ids)))
    draw.shuffle(order)
    found = cluster_vectors(
        [ids[row] for row in order], [texts[row] for row in order], vectors[order], k=3, seed=seed
    )
    in_order = cluster_vectors(ids, texts, vectors, k=3)
    assert [sorted(cluster.doc_ids) for cluster in found] == [cluster.doc_ids for cluster in in_order]
    assert [cluster.keywords for cluster in found] == [cluster.keywords for cluster in in_order]
    assert [cluster.representatives for cluster in found] == [cluster.representatives for cluster in in_order]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_same_seed_gives_the_same_clusters(seed: int) -> None:
    vectors = random_vectors(60)
    assert clustered(vectors, 6, seed=seed) == clustered(vectors, 6, seed=seed)


def test_the_global_random_state_plays_no_part() -> None:
    vectors = random_vectors(60)
    np.random.seed(1)
    found = clustered(vectors, 6)
    np.random.seed(2)
    assert clustered(vectors, 6) == found


@given(st.integers(1, 20), st.integers(0, 5), st.data())
@settings(max_examples=15, deadline=None)
def test_every_document_is_in_one_cluster(n: int, seed: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, n))
    found = clustered(random_vectors(n, seed=seed), k, seed=seed)
    assert len(found) == k
    assert [cluster.size for cluster in found] == [len(cluster.doc_ids) for cluster in found]
    assert sum(cluster.size for cluster in found) == n
    assert sorted(doc_id for cluster in found for doc_id in cluster.doc_ids) == [
        f"d{row:03d}" for row in range(n)
    ]
    assert [cluster.size for cluster in found] == sorted((c.size for c in found), reverse=True)
    for cluster in found:
        assert cluster.doc_ids == sorted(cluster.doc_ids)  # the order of this corpus
        assert set(cluster.representatives) <= set(cluster.doc_ids)
        assert len(cluster.representatives) == min(3, cluster.size)


def test_documents_are_in_the_cluster_of_the_nearest_centre() -> None:
    """Lloyd's condition, by plain loops: what k-means converged to."""
    vectors = random_vectors(60)
    rows = [[int(doc_id[1:]) for doc_id in cluster.doc_ids] for cluster in clustered(vectors, 5)]
    centres = [vectors[members].astype(np.float64).mean(axis=0) for members in rows]
    for number, members in enumerate(rows):
        for row in members:
            distances = [float(((vectors[row] - centre) ** 2).sum()) for centre in centres]
            assert distances[number] <= min(distances) + 1e-6


@pytest.mark.parametrize("count", [1, 4, 100])
def test_representatives_are_nearest_to_the_centre(count: int) -> None:
    vectors = random_vectors(50)
    for cluster in clustered(vectors, 4, representatives=count):
        members = [vectors[int(doc_id[1:])].tolist() for doc_id in cluster.doc_ids]
        centre = [sum(column) / len(members) for column in zip(*members, strict=True)]
        distance = {
            doc_id: sum((a - b) ** 2 for a, b in zip(member, centre, strict=True))
            for doc_id, member in zip(cluster.doc_ids, members, strict=True)
        }
        assert cluster.representatives == sorted(distance, key=lambda doc_id: distance[doc_id])[:count]


def test_equally_near_representatives_stand_in_order_of_their_ids() -> None:
    vectors = unit(np.asarray([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    (found, alone) = cluster_vectors(["c", "a", "b", "x"], ["word"] * 4, vectors, k=2, representatives=2)
    assert found.representatives == ["a", "b"]
    assert found.doc_ids == ["c", "a", "b"]
    assert alone.representatives == ["x"]


def test_copies_of_a_document_represent_in_order_of_their_ids() -> None:
    for copies in (3, 5, 17, 33, 101):
        vectors = np.repeat(random_vectors(2, 384, seed=copies), (copies, 1), axis=0)
        assert clustered(vectors, 2)[0].representatives == ["d000", "d001", "d002"]


def test_one_cluster_holds_everything_and_n_clusters_one_each() -> None:
    vectors = random_vectors(7)
    (whole,) = clustered(vectors, 1)
    assert whole.doc_ids == [f"d{row:03d}" for row in range(7)]
    assert [cluster.doc_ids for cluster in clustered(vectors, 7)] == [[f"d{row:03d}"] for row in range(7)]
    assert [cluster.doc_ids for cluster in clustered(vectors[:1], 1)] == [["d000"]]


@pytest.mark.parametrize("k", [-1, 0, 6])
def test_a_k_out_of_range_is_refused(k: int) -> None:
    with pytest.raises(InputError, match=rf"k is {k}, a number from 1 to 5 \(the documents\) was expected"):
        clustered(random_vectors(5), k)


def test_nothing_to_cluster_is_refused() -> None:
    with pytest.raises(InputError, match="there is no document to cluster"):
        clustered(np.empty((0, 8), dtype=np.float32), None)


def test_more_clusters_than_different_documents_are_refused() -> None:
    vectors = random_vectors(2)[[0, 1, 0, 1, 1]]
    with pytest.raises(InputError, match=r"k is 3, and only 2 of the 5 documents differ in what"):
        clustered(vectors, 3)
    assert [cluster.size for cluster in clustered(vectors, 2)] == [3, 2]


@pytest.mark.filterwarnings("ignore")
def test_no_cluster_is_empty_where_copies_differ_in_the_last_bits() -> None:
    """Copies of a text that were padded differently have vectors that differ by some 1e-8."""
    vectors = random_vectors(2)[[0, 1] * 10]
    vectors = vectors + np.random.default_rng(3).normal(0, 1e-8, vectors.shape).astype(np.float32)
    try:
        found = clustered(vectors, 6)
    except InputError as error:
        assert "of the 20 documents differ" in str(error)
    else:
        assert min(cluster.size for cluster in found) > 0


@pytest.mark.parametrize(("distinct", "copies"), [(1, 20), (2, 30), (3, 1)])
def test_a_number_that_nobody_asked_for_is_none_that_fails(distinct: int, copies: int) -> None:
    found = clustered(np.repeat(random_vectors(distinct), copies, axis=0), None)
    assert 1 <= len(found) <= distinct
    assert sum(cluster.size for cluster in found) == distinct * copies


@pytest.mark.parametrize("k", [3, 5, 7, 9])
def test_the_order_of_the_documents_is_no_part_of_the_answer(k: int) -> None:
    """An index is a set: what was deleted and added again stands at its end."""
    ids, vectors = [f"d{row:03d}" for row in range(60)], random_vectors(60)
    groups = [set(found.doc_ids) for found in cluster_vectors(ids, ["word"] * 60, vectors, k=k)]
    for seed in range(3):
        rows = np.random.default_rng(seed).permutation(60)
        shuffled = cluster_vectors([ids[row] for row in rows], ["word"] * 60, vectors[rows], k=k)
        assert [set(found.doc_ids) for found in shuffled] == groups


def test_the_seed_is_that_of_the_draws() -> None:
    vectors = random_vectors(200, dimension=32)
    groups = [[found.doc_ids for found in clustered(vectors, 12, seed=seed)] for seed in (0, 1, 0)]
    assert groups[0] == groups[2]
    assert groups[0] != groups[1]


def test_k_is_by_default_the_root_of_half_the_documents() -> None:
    # sqrt(50 / 2) = 5; between 2 and 50, and never more than there are documents.
    counts = {0: 0, 1: 1, 2: 2, 7: 2, 50: 5, 200: 10, 5000: 50, 10**6: 50}
    assert {documents: default_k(documents) for documents in counts} == counts
    assert len(clustered(random_vectors(50), None)) == 5


def test_a_cluster_as_plain_values_is_json() -> None:
    ids, texts, vectors = blobs([3, 2])
    (first, _) = cluster_vectors(ids, texts, vectors, k=2, representatives=1)
    assert json.loads(json.dumps(first.to_dict())) == {
        "cluster": 0, "size": 3, "keywords": ["rose"],
        "representatives": first.representatives, "doc_ids": ["a0", "a1", "a2"],
    }  # fmt: skip


def test_the_texts_may_be_a_generator() -> None:
    ids, texts, vectors = blobs([3, 2])
    assert cluster_vectors(ids, iter(texts), vectors, k=2) == cluster_vectors(ids, texts, vectors, k=2)


def test_bad_values_are_one_line() -> None:
    with pytest.raises(InputError, match="there is no document to cluster"):
        whole.cluster(Collection.of("none", []))
    with pytest.raises(InputError, match=r"seed is 4294967296, at most 4294967295 was expected"):
        cluster_vectors(["a"], ["a"], np.ones((1, 2), np.float32), seed=2**32)
    one: Vectors = np.ones((1, 2), np.float32)
    for vectors in (one, np.ones(2, np.float32), np.full((2, 2), np.nan, np.float32)):
        with pytest.raises(
            InputError, match=r"vectors have shape \(.*\); a finite one for each of 2 expected"
        ):
            cluster_vectors(["a", "b"], ["a", "b"], vectors, k=1)
    with pytest.raises(InputError, match=r"representatives is -1, at least 0"):
        cluster_vectors(["a"], ["a"], one, representatives=-1)
    for wrong in (None, 3, b"d"):
        with pytest.raises(InputError, match=r"source is .*, a name or a path or Collection or Index"):
            whole.cluster(wrong)  # type: ignore[arg-type]
