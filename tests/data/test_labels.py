"""Labelled texts: reading a folder of splits, cutting what is missing, and what a text is to find."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from textrip.data.check import check
from textrip.data.columns import Columns
from textrip.data.formats import read
from textrip.data.label_parts import SHARES, check_labels, label_parts
from textrip.data.labels import by_label, thinned
from textrip.data.pairs import with_queries
from textrip.data.together import near_duplicate_key
from textrip.errors import InputError
from textrip.pipeline.prepare import prepare
from textrip.retrieval.encoded import documents_of
from textrip.training.label_batch import LabelSampler


def write(path: Path, texts: list[tuple[str, str]]) -> Path:
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in texts))
    return path


def texts(count: int, word: str = "text") -> list[tuple[str, str]]:
    return [(f"{word} number {place}", "abc"[place % 3]) for place in range(count)]


def test_a_folder_of_splits_is_read_as_it_was_cut(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", texts(30))
    write(tmp_path / "test.jsonl", texts(9, "other"))
    found = read(tmp_path)
    assert found.corpus.column_names == ["doc_id", "title", "text", "label", "split"]
    assert found.corpus[0] == {
        "doc_id": "train-1", "title": "", "text": "text number 0", "label": "a", "split": "train",
    }  # fmt: skip
    asked = by_label(found)
    assert set(asked.qrels) == {"dev", "test"}
    assert set(asked.qrels["test"]) == {f"test-{number}" for number in range(1, 10)}
    assert len(asked.qrels["dev"]) == 3  # a tenth of train
    assert len(asked.corpus) == 27
    label_of = dict(zip(found.doc_ids, found.labels, strict=True))
    for judged in asked.qrels.values():
        for query_id, relevant in judged.items():
            assert {label_of[doc_id] for doc_id in relevant} == {label_of[query_id]}
            assert len(relevant) == sum(label == label_of[query_id] for label in asked.labels)


def test_questions_made_of_a_folder_of_splits_are_asked_in_their_split(tmp_path: Path) -> None:
    def titled(name: str, count: int) -> None:
        rows = [
            {
                "title": f"How {name} {place} grows",
                "text": f"{'word ' * 20}{name} {place}",
                "label": "ab"[place % 2],
            }
            for place in range(count)
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    titled("train", 30)
    titled("test", 9)
    made, _ = with_queries(read(tmp_path))
    assert {split: len(qrels) for split, qrels in made.qrels.items()} == {"train": 30, "test": 9}
    assert set(made.qrels["test"]) == {f"test-{place}" for place in range(1, 10)}
    prepared = prepare(read(tmp_path))
    assert {split: len(qrels) for split, qrels in prepared.qrels.items()} == {
        "train": 27,
        "test": 9,
        "dev": 3,
    }
    assert prepared.qrels["test"] == made.qrels["test"]


def test_near_copies_stay_on_one_side_and_given_test_texts_leave_train(tmp_path: Path) -> None:
    twice = [*texts(60), *((f"Number {place}, TEXT!", "abc"[place % 3]) for place in range(60))]
    asked = by_label(read(write(tmp_path / "one.jsonl", twice)))
    train = {near_duplicate_key(text) for text in asked.texts}
    held_out = {near_duplicate_key(text) for text in asked.query_texts.values()}
    assert not train & held_out
    assert len(asked.corpus) + len(asked.queries) == 120

    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder / "train.jsonl", texts(30))
    write(folder / "dev.jsonl", texts(6, "dev"))
    write(folder / "test.jsonl", [("text NUMBER 4", "b"), *texts(3, "other")])
    left = by_label(read(folder))
    assert "text number 4" not in list(left.texts)
    assert len(left.corpus) == 29


def test_what_labels_leave_out_is_told(tmp_path: Path, remarks: list[str]) -> None:
    """Before the training by check, and by the training: 30 texts that become 1 are no detail."""
    write(tmp_path / "train.jsonl", [*texts(9), ("lonely", "z"), ("copy", "y"), ("Copy", "y")])
    write(tmp_path / "dev.jsonl", texts(2, "dev"))
    write(tmp_path / "test.jsonl", [("TEXT number 4", "b"), ("text number 5", "c"), ("what is it", "new")])
    found = read(tmp_path)
    copies = "2 labelled texts of train are in dev or test, too: left out of training on labels"
    strangers = "1 text of dev or test has a label that no text of train has: nothing can be found for them"
    told = {finding.kind: finding for finding in check(found)}
    assert {finding.level for finding in told.values()} == {"warning"}
    assert told["train-texts-held-out"].message == copies
    assert told["train-texts-held-out"].examples == ("text number 4", "text number 5")
    assert told["labels-not-in-train"].message.startswith(strangers)
    assert told["labels-not-in-train"].examples == ("new: what is it",)
    assert told["labels-of-one-text"].examples == ("y", "z")
    assert "one-label" not in told
    assert LabelSampler(found, batch_labels=2, texts_per_label=2, seed=0).labels == ["a", "b", "c"]
    asked = by_label(found)
    assert remarks == [copies, told["labels-not-in-train"].message]
    assert set(asked.qrels["test"]) == {"test-1", "test-2"}

    write(tmp_path / "train.jsonl", [("text number 4", "b"), *[(f"else {n}", "a") for n in range(3)]])
    (only,) = [finding for finding in check(read(tmp_path)) if finding.kind == "one-label"]
    assert only.message == (
        "1 label has two distinct texts or more in train: training on labels needs 2 such labels"
    )
    reason = r"3 texts of 1 label to learn from, at least 2 .* \(1 of its texts are in dev or test, too\)"
    with pytest.raises(InputError, match=reason):
        by_label(read(tmp_path))


def test_what_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "a"}\n')
    with pytest.raises(InputError, match=r"train.jsonl: has no labels.*--label-column"):
        read(tmp_path)
    with pytest.raises(InputError, match=r"have no labels \(columns: doc_id, title, text\)"):
        by_label(read(path))
    write(path, [(f"text {place}", "same") for place in range(20)])
    with pytest.raises(
        InputError, match="train has 14 texts of 1 label to learn from, at least 2 labels were expected"
    ):
        by_label(read(path))


def test_other_columns_and_other_formats(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("body,queue\nIt smokes,hardware\nI forgot it,password\n")
    (tmp_path / "validation.csv").write_text("body,queue\nIt burns,hardware\n")
    found = read(tmp_path, columns=Columns(label="queue"))
    assert found.labels == ["hardware", "password", "hardware"]
    assert found.corpus["split"][:] == ["train", "train", "dev"]


def test_thinning_keeps_judgments_of_what_is_left(tmp_path: Path) -> None:
    asked = by_label(read(write(tmp_path / "one.jsonl", texts(90))))
    few = thinned(asked, 10)
    assert len(few.corpus) == 10
    assert few.doc_ids[0] == asked.doc_ids[0]
    assert few.doc_ids[-1] == asked.doc_ids[-1]
    for query_id, relevant in few.qrels["dev"].items():
        assert set(relevant) == set(asked.qrels["dev"][query_id]) & set(few.doc_ids)
    assert thinned(asked, 0) is asked
    assert thinned(asked, 1000) is asked


def test_dev_of_other_labels_than_train_measures_nothing(tmp_path: Path) -> None:
    """Of a test split it is no error: whoever measures there knows what for."""
    rows = [{"text": f"rose {n}", "label": "flower"} for n in range(4)]
    rows += [{"text": f"wave {n}", "label": "sea"} for n in range(4)]
    for split, label in (("train", ""), ("dev", "storm"), ("test", "storm")):
        of_split = rows if split == "train" else [{"text": f"{split} {n}", "label": label} for n in range(3)]
        text = "".join(json.dumps(row) + "\n" for row in of_split)
        (tmp_path / f"{split}.jsonl").write_text(text)
    reason = r"no text of dev has a label that train has \(dev: 'storm', train: 'flower'\)"
    with pytest.raises(InputError, match=reason):
        by_label(read(tmp_path))
    (tmp_path / "dev.jsonl").unlink()
    assert set(by_label(read(tmp_path)).qrels["dev"])


@pytest.mark.parametrize("shares", [{"dev": 2.0}, {"test": -0.1}, {"dev": 0.5, "test": 0.5}])
def test_shares_that_leave_nothing_to_train_are_told(shares: dict[str, float], tmp_path: Path) -> None:
    rows = [{"text": f"text number {n}", "label": "ab"[n % 2]} for n in range(20)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(InputError, match="shares that leave some to train were expected"):
        by_label(read(tmp_path / "t.jsonl"), **shares)  # type: ignore[arg-type]


def written(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("label", [None, "", " ", ["bug", "ui"], [], 0.5, 0.0, True, False, {"a": 1}])
def test_what_is_no_label_in_a_column_that_is_called_so_is_read_all_the_same(
    label: Any, tmp_path: Path
) -> None:
    """An index, a search or a clustering asks for no label."""
    rows = [{"id": "a", "text": "x", "topic": "cards"}, {"id": "b", "text": "y", "topic": label}]
    found = read(written(tmp_path / "d.jsonl", rows))
    metadata = [kept for _, kept in documents_of(found, 0, 2)]
    blank = label is None or label in ("", " ")
    assert metadata == [{"label": "cards"}, {} if blank else {"topic": label}]
    with pytest.raises(InputError, match=r"1 of its 2 documents have no label .*first 'b'"):
        by_label(found)
    (finding,) = [one for one in check(found) if one.kind == "texts-without-a-label"]
    assert (finding.level, finding.count) == ("warning", 1)
    with pytest.raises(InputError, match=r"d\.jsonl:2: 'topic' is "):  # it was named
        read(tmp_path / "d.jsonl", columns=Columns(label="topic"))


def test_labels_that_begin_later_are_counted_from_the_first_row(tmp_path: Path) -> None:
    rows = [{"id": "a", "text": "x"}, {"id": "b", "text": "y", "label": "cards"}]
    with pytest.raises(InputError, match=r"1 of its 2 documents have no label .*first 'a'"):
        by_label(read(written(tmp_path / "d.jsonl", rows)))


def test_labels_that_are_alike_and_texts_of_several_labels_are_told(tmp_path: Path) -> None:
    labels = ["Bug", "bug ", "caf\u00e9", "cafe\u0301", "other"]
    rows = [{"text": f"word{n} thing{7 * n} more{n}", "label": labels[n % 5]} for n in range(40)]
    rows += [{"text": "one and the same text", "label": label} for label in ("Bug", "other")]
    found = {one.kind: one for one in check(read(written(tmp_path / "d.jsonl", rows)))}
    assert found["labels-alike"].count == 2
    assert found["labels-alike"].examples[0] == "'Bug' / 'bug '"
    assert found["texts-of-several-labels"].count == 1
    assert found["texts-of-several-labels"].examples == ("Bug, other: one and the same text",)


def test_a_file_of_a_folder_without_a_label_is_counted(tmp_path: Path) -> None:
    written(tmp_path / "train.jsonl", [{"text": f"x{n}", "label": "ab"[n % 2]} for n in range(8)])
    written(tmp_path / "dev.jsonl", [{"text": "y", "label": None}, {"text": "z", "label": None}])
    found = read(tmp_path)
    with pytest.raises(InputError, match=r"2 of its 10 documents have no label .*first 'dev-1'"):
        by_label(found)
    assert "texts-without-a-label" in {one.kind for one in check(found)}


def test_a_dev_that_is_cut_has_no_text_of_test(tmp_path: Path) -> None:
    """8 of 10 were test's, and what was left out of train was counted short by as many."""
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [{"text": f"word{n} stands in text number{n}", "label": f"l{n % 4}"} for n in range(100)]
    for split, part in (("train", rows), ("test", rows[:60])):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    data = read(folder)
    asked = by_label(data)
    of = {split: {asked.query_texts[query] for query in qrels} for split, qrels in asked.qrels.items()}
    assert of["dev"] and not of["dev"] & of["test"]
    (told,) = [finding for finding in check_labels(data) if finding.kind == "train-texts-held-out"]
    assert told.count == 60


def test_a_cut_keeps_near_duplicates_on_one_side(tmp_path: Path) -> None:
    """Of 60 texts and the same with a word more 31 pairs stood on two sides."""
    draw = random.Random(0)
    names = [f"w{n}" for n in range(60)]
    twins: list[str] = []
    for _ in range(60):
        one = " ".join(draw.choices(names, k=14))
        twins += [one, f"{one} please"]
    labelled = [(text, f"l{n // 2 % 3}") for n, text in enumerate(twins)]
    splits = label_parts(read(write(tmp_path / "l.jsonl", labelled)), SHARES, 0).splits
    assert set(splits) == {"train", "dev", "test"}
    assert [splits[n] for n in range(0, 120, 2)] == [splits[n] for n in range(1, 120, 2)]
