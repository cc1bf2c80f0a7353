"""Triples on disk: round trips, provenance, and refusals that name the remedy."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textrip.data.collection import Collection
from textrip.errors import InputError, MismatchError
from textrip.mining.mine import mine
from textrip.mining.settings import MineSettings
from textrip.mining.triples import SCHEMA, Group, Negative, Triples, is_triples_file
from textrip.pipeline.train import train
from textrip.records import Document

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
NEGATIVES = st.builds(
    Negative, IDS, st.integers(0, 1000), st.floats(-10, 100, width=32), st.sampled_from(["bm25", "judged"])
)
GROUPS = st.builds(Group, IDS, IDS, st.lists(NEGATIVES, max_size=3).map(tuple))


@given(groups=st.lists(GROUPS, max_size=5))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(groups: list[Group], tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    Triples(groups, {"seed": 3}).write(path, force=True)
    assert is_triples_file(path)
    assert Triples.read(path) == Triples(groups, {"seed": 3})


def test_provenance_says_where_they_came_from(tiny_collection: Collection) -> None:
    about = mine(tiny_collection, settings=MineSettings(seed=5)).provenance
    assert about["collection_sha256"] == tiny_collection.fingerprint
    assert about["settings"]["seed"] == 5
    assert about["analyzer"]["stemmer"] == "english"
    assert "rank-bm25" in about["versions"]


def test_plain_rows_for_other_trainers(tiny_collection: Collection, tmp_path: Path) -> None:
    from datasets import load_dataset

    triples = mine(tiny_collection, settings=MineSettings(negatives=2))
    triples.write_jsonl(tmp_path / "t.jsonl", tiny_collection)
    rows = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert [(row["anchor"], row["positive"], row["negative"]) for row in rows] == list(
        triples.texts(tiny_collection)
    )
    loaded = load_dataset("json", data_files=str(tmp_path / "t.jsonl"), cache_dir=str(tmp_path / "cache"))[
        "train"
    ]
    assert loaded.column_names == ["anchor", "positive", "negative"]


def test_unknown_ids_are_refused_with_the_remedy(tiny_collection: Collection) -> None:
    for group, name in [
        (Group("nobody", "d00", ()), "query 'nobody'"),
        (Group("q00", "d99", ()), "document 'd99'"),
        (Group("q00", "d00", (Negative("d98", 1, 1.0, "bm25"),)), "document 'd98'"),
    ]:
        with pytest.raises(
            MismatchError, match=f"the triples name {name}, tiny has none.*give the collection"
        ):
            Triples([group]).require(tiny_collection)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        Triples.read(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"no")
    assert not is_triples_file(tmp_path / "bad.parquet")
    with pytest.raises(InputError, match="is not a Parquet file"):
        Triples.read(tmp_path / "bad.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    assert not is_triples_file(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="holds no triples of textrip; make them with textrip mine"):
        Triples.read(tmp_path / "other.parquet")


@pytest.mark.parametrize(("column", "value", "reason"), [
    ("query_id", None, "query_id has nulls"),
    ("positive_id", None, "positive_id has nulls"),
    ("negative_ids", None, "negative_ids has nulls"),
    ("negative_ids", [None], "negative_ids has nulls"),
    ("negative_ids", ["d1", "d2"], "is longer|is shorter"),
    ("negative_ranks", [None], "negative_ranks has nulls"),
    ("negative_ranks", [-1], "negative_ranks has some below 0"),
    ("negative_scores", [None], "negative_scores has nulls"),
    ("negative_scores", [float("nan")], "negative_scores has some that are not finite"),
    ("negative_sources", ["guess"], "negative_sources has 'guess', which is none of bm25, judged"),
])  # fmt: skip
def test_what_no_mining_writes_is_refused(column: str, value: Any, reason: str, tmp_path: Path) -> None:
    """Another program's file: a null became an id, or stopped an audit in its middle."""
    path = tmp_path / "t.parquet"
    Triples([Group("q", "p", (Negative("d", 1, 2.5, "bm25"),))]).write(path)
    table = pq.read_table(path)
    place = SCHEMA.get_field_index(column)
    pq.write_table(
        table.set_column(place, SCHEMA.field(place), pa.array([value], SCHEMA.field(place).type)), path
    )
    with pytest.raises(
        InputError, match=rf"t\.parquet: the triples are damaged \(.*({reason}).*\); mine them again"
    ):
        Triples.read(path)


def test_triples_of_other_texts_are_refused_and_of_other_judgments_not(tiny_collection: Collection) -> None:
    triples = mine(tiny_collection)
    triples.require(replace(tiny_collection, qrels={}))
    documents = [Document(doc_id, "", f"something else {doc_id}") for doc_id in tiny_collection.doc_ids]
    other = Collection.of("other", documents, tiny_collection.query_texts, tiny_collection.qrels)
    with pytest.raises(MismatchError, match=r"mined from other texts than those of other, with the same ids"):
        triples.require(other)


def test_triples_without_a_group_are_not_called_held_out(
    tiny_collection: Collection, tiny_encoder_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="there is not one group in the triples"):
        train(tiny_collection, tmp_path / "m", triples=Triples([]), model=tiny_encoder_folder, device="cpu")
