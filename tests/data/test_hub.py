"""Data sets of the hub in the shapes that they have there, read by the library itself from a folder."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from textrip.data import hub
from textrip.data.collection import Collection
from textrip.data.formats import read
from textrip.data.labels import by_label
from textrip.errors import InputError, OfflineError

REQUIRE_HUB = hub.require_hub
Rows = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def within_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder stands for the hub: the library reads both alike."""
    monkeypatch.setattr(hub, "require_hub", lambda what: None)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))


def data_set(folder: Path, configs: dict[str, dict[str, Rows]]) -> str:
    """Write configurations of splits of rows, and give the name under which `read` knows them."""
    folder.mkdir()
    card: list[dict[str, Any]] = []
    for config, splits in configs.items():
        for split, rows in splits.items():
            (folder / f"{config}-{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        files = [{"split": split, "path": f"{config}-{split}.jsonl"} for split in splits]
        card.append({"config_name": config, "data_files": files})
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps(card)}\n---\n")
    return f"hub:{folder}"


CORPUS = {
    "corpus": [{"_id": "1", "title": "t", "text": "a rose"}, {"_id": "2", "title": "", "text": "a boat"}]
}
QUERIES = {"queries": [{"_id": "q1", "text": "flowers"}, {"_id": "q2", "text": "ships"}]}
JUDGED = [{"query-id": "q1", "corpus-id": "1", "score": 2}]


@pytest.mark.parametrize("judging", ["qrels", "default"])
def test_beirs_layout_in_one_data_set(judging: str, tmp_path: Path) -> None:
    judged = {"train": [{"query-id": "q2", "corpus-id": "2", "score": 1}], "test": JUDGED}
    found = read(data_set(tmp_path / "set", {"corpus": CORPUS, "queries": QUERIES, judging: judged}))
    assert found.doc_ids == ["1", "2"]
    assert found.query_texts == {"q1": "flowers", "q2": "ships"}
    assert found.qrels == {"train": {"q2": {"2": 1}}, "test": {"q1": {"1": 2}}}


def test_judgments_in_a_data_set_of_their_own(tmp_path: Path) -> None:
    name = data_set(tmp_path / "set", {"corpus": CORPUS, "queries": QUERIES})
    data_set(tmp_path / "set-qrels", {"default": {"validation": JUDGED}})
    assert read(name).qrels == {"dev": {"q1": {"1": 2}}}


def test_judgments_that_are_not_there_are_told_with_where_they_were_looked_for(tmp_path: Path) -> None:
    name = data_set(tmp_path / "set", {"corpus": CORPUS, "queries": QUERIES})
    with pytest.raises(
        InputError, match=r"set-qrels.*; judgments were expected there, as hub:.*set has a corpus"
    ):
        read(name)


def test_a_line_that_is_no_json_is_told_with_its_row(tmp_path: Path) -> None:
    name = data_set(tmp_path / "set", {"default": {"train": [{"query": "a", "positive": "b"}] * 3}})
    with (tmp_path / "set" / "default-train.jsonl").open("a") as lines:
        lines.write('{"query": "x", "pos\n')
    with pytest.raises(InputError, match=r"generating the dataset \(JSON parse error: .* in row 3\)"):
        read(name)


def test_a_language_of_a_data_set_of_several(tmp_path: Path) -> None:
    other = {"corpus": [{"_id": "1", "text": "eine Rose"}, {"_id": "2", "text": "ein Boot"}]}
    name = data_set(tmp_path / "set", {
        "en-corpus": CORPUS, "en-queries": QUERIES, "en-qrels": {"test": JUDGED},
        "de-corpus": other, "de-queries": QUERIES, "de-qrels": {"test": JUDGED},
    })  # fmt: skip
    assert read(f"{name}:de").corpus["text"][:] == ["eine Rose", "ein Boot"]
    assert read(f"{name}:de").qrels == {"test": {"q1": {"1": 2}}}
    with pytest.raises(InputError, match=r"has configurations; name one of them, .*set:en-corpus"):
        read(name)


def test_a_judgment_without_a_score_is_one_of_relevance(tmp_path: Path) -> None:
    judged = {"train": [{"query-id": "q1", "corpus-id": "2"}]}
    found = read(data_set(tmp_path / "set", {"corpus": CORPUS, "queries": QUERIES, "qrels": judged}))
    assert found.qrels == {"train": {"q1": {"2": 1}}}


def kinds(collection: Collection) -> list[str]:
    return [finding.kind for finding in collection.remarks]


def test_the_splits_of_pairs_are_kept(tmp_path: Path) -> None:
    train = [{"query": "flowers", "positive": "a rose", "negative": "a boat"}]
    test = [{"query": "ships", "positive": "a boat"}, {"query": "flowers", "positive": "a tulip"}]
    found = read(data_set(tmp_path / "set", {"default": {"train": train, "test": test, "extra": train}}))
    assert found.corpus["text"][:] == ["a rose", "a boat", "a tulip"]
    assert found.qrels == {"train": {"q1": {"d1": 1, "d2": 0}}, "test": {"q2": {"d2": 1}, "q1": {"d3": 1}}}
    assert kinds(found) == ["splits-not-read"]
    assert "1 split is not read: extra" in found.remarks[0].message


def test_the_splits_of_labelled_texts_are_kept_and_their_labels_have_names(tmp_path: Path) -> None:
    rows = [{"text": f"a text {number}", "label": number % 2} for number in range(8)]
    name = data_set(tmp_path / "set", {"default": {"train": rows[:6], "test": rows[6:]}})
    card = tmp_path / "set" / "README.md"
    features = [
        {"name": "text", "dtype": "string"},
        {"name": "label", "dtype": {"class_label": {"names": {"0": "plants", "1": "ships"}}}},
    ]
    info = json.dumps({"features": features})
    card.write_text(card.read_text().replace("\n---\n", f"\ndataset_info: {info}\n---\n"))
    found = by_label(read(name), dev=0)
    assert set(found.labels) == {"plants", "ships"}
    assert found.qrels["test"] == {
        "test-1": {"train-1": 1, "train-3": 1, "train-5": 1},
        "test-2": {"train-2": 1, "train-4": 1, "train-6": 1},
    }


def test_of_documents_one_split_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    splits = {"test": [{"text": "a boat"}], "train": [{"text": "a rose"}]}
    found = read(data_set(tmp_path / "set", {"default": splits}))
    assert found.corpus["text"][:] == ["a rose"]
    assert "1 split is not read: test" in found.remarks[0].message


@pytest.mark.parametrize(("name", "reason"), [
    ("none", "none.*(doesn't exist|not found|couldn't find)"),
    ("set:absent", "absent"),
])  # fmt: skip
def test_what_is_not_there_is_one_line(name: str, reason: str, tmp_path: Path) -> None:
    data_set(tmp_path / "set", {"default": {"train": [{"text": "a"}]}})
    with pytest.raises(InputError, match=f"(?i){reason}") as raised:
        read(f"hub:{tmp_path}/{name}")
    assert len(str(raised.value).splitlines()) == 1


@pytest.fixture
def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "require_hub", REQUIRE_HUB)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_without_a_network_it_comes_out_of_the_cache(tmp_path: Path, without_network: None) -> None:
    data_set(tmp_path / "MySet", {"corpus": CORPUS, "queries": QUERIES, "default": {"test": JUDGED}})
    for config in ("corpus", "queries", "default"):
        datasets.load_dataset(str(tmp_path / "MySet"), config)
    cache = tmp_path / "cache"
    # As the library keeps what it had from the hub.
    (cache / "my_set").rename(cache / "owner___my_set")
    found = read("hub:owner/MySet")
    assert found.doc_ids == ["1", "2"]
    assert found.qrels == {"test": {"q1": {"1": 2}}}
    with pytest.raises(OfflineError, match="hub:owner/other is on the hub and the network is switched off"):
        read("hub:owner/other")


def test_where_the_hub_is_out_of_reach_the_cache_is_named(
    tmp_path: Path, without_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://localhost:1")
    (tmp_path / "cache" / "owner___set" / "default").mkdir(parents=True)
    with pytest.raises(OfflineError, match=r"cannot be reached \(.*\); --offline reads it from the cache"):
        read("hub:owner/set")
    with pytest.raises(OfflineError, match=r"cannot be reached \([^;]*\)$"):
        read("hub:owner/other")


def test_a_script_is_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "set.py").write_text("open('ran', 'w')")
    with pytest.raises(InputError, match="scripts are no longer supported"):
        read(f"hub:{folder}")
    assert not Path("ran").exists()


def test_a_network_that_goes_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("Couldn't reach 'a/b' on the Hub\nMax retries")

    monkeypatch.setattr(datasets, "get_dataset_config_names", refuse)
    with pytest.raises(OfflineError, match=r"^hub:a/b: Couldn't reach 'a/b' on the Hub$"):
        read("hub:a/b")
