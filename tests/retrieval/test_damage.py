"""Files of an index that were flipped, cut, deleted or swapped: noticed, and never a wrong answer."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.retrieval.whole import FILES, QUERIES, answers, close, opened, place_of
from tests.running import Run
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.encoding.onnx import OnnxEncoder
from textrip.errors import InputError
from textrip.records import Document, Hit
from textrip.retrieval.answer import MODES
from textrip.retrieval.index import Index


def flipped(content: bytes, place: int, mask: int = 1) -> bytes:
    return content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :]


Answers = list[list[list[Hit]]]
Damage = Callable[[bytes], bytes | None]
DAMAGES: dict[str, Damage] = {
    "deleted": lambda content: None,
    "emptied": lambda content: b"",
    "cut in half": lambda content: content[: len(content) // 2],
    "cut by a byte": lambda content: content[:-1],
    "first byte": lambda content: flipped(content, 0),
    "last byte": lambda content: flipped(content, len(content) - 1),
}

# A byte inside: by what stands there, so that it is the same byte wherever the index was built.
BYTES = [
    ("derived/G/derived.json", b'"documents": 60', b'"documents": 61'),
    ("derived/G/derived.json", b'"generation": 1', b'"generation": 0'),
    ("derived/G/terms.blob.npy", b"rose", b"rosd"),
    ("derived/G/ids.blob.npy", b"d10", b"d90"),
    ("onnx/onnx.json", b'"precision"', b'"qrecision"'),
    ("onnx/tokenizer.json", b'"rose"', b'"rosd"'),
    ("documents.sqlite", b"garden 10", b"garden 11"),
    ("documents.sqlite", b"CREATE TABLE", b"BREATE TABLE"),
    ("encoder/1_Pooling/config.json", b'"mean"', b'"lean"'),
    ("encoder/1_Pooling/config.json", b'"embedding_dimension": 32', b'"embedding_dimension": 33'),
    ("encoder/config.json", b'"num_attention_heads": 2', b'"num_attention_heads": 4'),
    ("encoder/config.json", b'"layer_norm_eps": 1e-12', b'"layer_norm_eps": 1e-02'),
    ("encoder/config.json", b'"hidden_size": 32', b'"hidden_size": 33'),
    ("encoder/config.json", b'"num_hidden_layers": 2', b'"num_hidden_layers": 1'),
    ("encoder/config.json", b'"model_type": "bert"', b'"model_type": "cert"'),
    ("encoder/config_sentence_transformers.json", b'"prompts"', b'"qrompts"'),
    ("encoder/modules.json", b"pooling.Pooling", b"pooling.Qooling"),
    ("encoder/modules.json", b"2_Normalize", b"3_Normalize"),
    ("encoder/sentence_bert_config.json", b'"last_hidden_state"', b'"mast_hidden_state"'),
    ("encoder/sentence_bert_config.json", b'"token_embeddings"', b'"uoken_embeddings"'),
    ("encoder/sentence_bert_config.json", b'"forward"', b'"gorward"'),
    ("encoder/tokenizer.json", b'"rose"', b'"rosd"'),
    ("encoder/tokenizer.json", b'"Lowercase"', b'"Mowercase"'),
    ("encoder/tokenizer_config.json", b'"model_max_length": 32', b'"model_max_length": 22'),
    ("index.json", b'"kind"', b'"jind"'),
    ("index.json", b'"format": 2', b'"format": 0'),
    ("index.json", b'"lowercase": true', b'"lowercase": tsue'),
    ("index.json", b'"index_id"', b'"jndex_id"'),
    ("index.json", b'"encoder"', b'"dncoder"'),
    ("index.json", b'"fingerprint"', b'"gingerprint"'),
    ("index.json", b'"fingerprint": "', b'"fingerprint": !'),
    ("index.json", b'"dimension"', b'"eimension"'),
    ("index.json", b'"dimension": 32', b'"dimension": 33'),
    ("index.json", b'"name"', b'"mame"'),
]


def problems(folder: Path) -> list[str]:
    """What a full check says, or what keeps the index from being opened."""
    try:
        with opened(folder) as index:
            return index.check()
    except InputError as error:
        return [str(error)]


def require_same_or_refused(folder: Path, undamaged: Answers) -> None:
    """Damage gives the answers of the undamaged index, or an InputError; never anything else."""
    try:
        found = answers(folder)
    except InputError as error:
        assert len(str(error)) > 20
        assert "\n" not in str(error)
    else:
        assert close(found, undamaged)


@pytest.mark.parametrize(
    ("name", "damage"),
    [(name, damage) for name in FILES for damage in DAMAGES],
)
def test_a_damaged_file_is_noticed_or_does_not_matter(
    name: str, damage: str, copy: Path, undamaged: Answers
) -> None:
    path = place_of(copy, name)
    content = DAMAGES[damage](path.read_bytes())
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    require_same_or_refused(copy, undamaged)
    # The last byte of a JSON file of ours is a line end, that of the database's last page is not used.
    unused = {".json": {"cut by a byte"}, ".sqlite": {"cut by a byte", "last byte"}}
    assert problems(copy) or damage in unused.get(path.suffix, set())


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [pytest.param(name, old, new, id=f"{name}-{new.decode()}") for name, old, new in BYTES],
)
def test_a_damaged_byte_is_noticed_or_does_not_matter(
    name: str, old: bytes, new: bytes, copy: Path, undamaged: Answers
) -> None:
    path = place_of(copy, name)
    content = path.read_bytes()
    assert old in content
    assert sum(a != b for a, b in zip(old, new, strict=True)) == 1
    path.write_bytes(content.replace(old, new, 1))
    require_same_or_refused(copy, undamaged)
    assert problems(copy)


@pytest.mark.parametrize("part", ["vector", "text", "doc_id"])
def test_a_damaged_byte_of_a_document_is_noticed(
    part: str, copy: Path, undamaged: Answers, shuffled: Collection, encoder: Encoder
) -> None:
    row = shuffled.corpus[30]
    whole = {
        "vector": encoder.encode(shuffled.texts)[30].tobytes(),
        "text": row["text"].encode(),
        "doc_id": f"{row['doc_id']}{row['title']}".encode(),
    }[part]
    content = (copy / "documents.sqlite").read_bytes()
    assert content.count(whole) == 1
    place = 3 if part == "vector" else 2
    (copy / "documents.sqlite").write_bytes(content.replace(whole, flipped(whole, place)))
    require_same_or_refused(copy, undamaged)
    # A changed id also disagrees with SQLite's own index of ids.
    told = "does not match its seal" if part != "doc_id" else "documents.sqlite: "
    assert any(told in problem for problem in problems(copy))


@pytest.mark.parametrize("name", [f"derived/G/{name}" for name in ("vectors.npy", "counts.npy", "order.npy")])
def test_a_flip_in_what_is_derived_is_mended_from_the_documents(
    name: str, copy: Path, undamaged: Answers, remarks: list[str]
) -> None:
    path, draw = place_of(copy, name), random.Random(0)
    content = path.read_bytes()
    for _ in range(4):
        path.write_bytes(flipped(content, draw.randrange(len(content))))
        del remarks[:]
        assert close(answers(copy), undamaged)
        assert any(f"{path}: does not match its digest" in remark for remark in remarks)
    with opened(copy) as index:
        assert index.rebuild()
        assert index.check() == []
        assert close([index.search_many(QUERIES, k=60, mode=mode) for mode in MODES], undamaged)


@pytest.mark.parametrize("name", ["onnx/model.onnx", "onnx/tokenizer.json"])
def test_a_flip_in_the_encoder_is_refused(name: str, copy: Path) -> None:
    content, draw = (copy / name).read_bytes(), random.Random(0)
    for _ in range(8):
        (copy / name).write_bytes(flipped(content, draw.randrange(len(content))))
        with pytest.raises(InputError, match=r"does not match its digest"), opened(copy) as index:
            index.search("rose", mode="hybrid")


def test_damage_is_told_with_its_place_and_the_mend(copy: Path) -> None:
    about = (copy / "index.json").read_text(encoding="utf-8")
    (copy / "index.json").write_text(
        about.replace('"lowercase": true', '"lowercase": false'), encoding="utf-8"
    )
    with pytest.raises(InputError, match=r"index\.json: does not match its own digest; the file is damaged"):
        Index.open(copy)
    (copy / "index.json").write_text(about, encoding="utf-8")
    (copy / "documents.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(InputError, match=r"documents\.sqlite: file is not a database; .* build it again"):
        Index.open(copy)
    (copy / "documents.sqlite").unlink()
    with pytest.raises(
        InputError, match=r"documents\.sqlite: is missing; the index is damaged, build it again"
    ):
        Index.open(copy)


MUTATIONS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "a bit": lambda content, draw: flipped(content, draw.randrange(len(content)), 1 << draw.randrange(8)),
    "a run of zeros": lambda content, draw: overwritten(content, draw, b"\0" * draw.randrange(1, 600)),
    "a run of noise": lambda content, draw: overwritten(
        content, draw, draw.randbytes(draw.randrange(1, 600))
    ),
    "cut": lambda content, draw: content[: draw.randrange(len(content))],
    "longer": lambda content, draw: content + draw.randbytes(draw.randrange(1, 600)),
    "a part twice": lambda content, draw: (
        content[: (place := draw.randrange(len(content)))] + content[place // 2 :]
    ),
}


def overwritten(content: bytes, draw: random.Random, part: bytes) -> bytes:
    place = draw.randrange(len(content))
    return content[:place] + part[: len(content) - place] + content[place + len(part) :]


@pytest.fixture(scope="module")
def other(shuffled: Collection, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of other documents, whose files are whole and do not belong here."""
    rows = [shuffled.corpus[row] for row in range(20)]
    documents = [Document(row["doc_id"], row["title"], f"{row['text']} rose") for row in rows]
    folder = tmp_path_factory.mktemp("other") / "index"
    Index.build(Collection.of("other", documents), encoder, folder).close()
    return folder


def mutated(copy: Path, other: Path, draw: random.Random) -> str:
    """Damage one file of the copy, or swap it for the other index's; says what was done."""
    name = draw.choice(FILES)
    path, how = place_of(copy, name), draw.choice([*MUTATIONS, "swapped", "deleted"])
    before = path.read_bytes()
    if how == "deleted":
        path.unlink()
    else:
        content = place_of(other, name).read_bytes() if how == "swapped" else MUTATIONS[how](before, draw)
        if content == before:
            return ""
        path.write_bytes(content)
    return f"{name}: {how}"


def contents(folder: Path) -> list[tuple[str, str, str, bytes]]:
    """What the database says, whatever its unused bytes are."""
    with opened(folder) as index:
        return [
            (held.document.doc_id, held.document.title, held.document.text, held.vectors.tobytes())
            for held in index.store
        ]


def run_mutants(count: int, seed: int, built: Path, other: Path, place: Path, undamaged: Answers) -> None:
    draw = random.Random(seed)
    whole = contents(built)
    for number in range(count):
        copy = Path(shutil.copytree(built, place / "copy"))
        what = mutated(copy, other, draw)
        try:
            require_same_or_refused(copy, undamaged)
            found = problems(copy)
            # SQLite has bytes that nothing reads; after JSON a line end more or less is the same.
            if what and not found and "documents.sqlite" in what:
                assert contents(copy) == whole
            elif what and not found:
                assert json_of(copy, what) == json_of(built, what)
        except AssertionError as error:
            raise AssertionError(f"mutant {number} of seed {seed}: {what}: {error}") from error
        shutil.rmtree(copy)


def json_of(folder: Path, what: str) -> object:
    return json.loads(place_of(folder, what.partition(": ")[0]).read_text(encoding="utf-8"))


def test_mutants(built: Path, other: Path, tmp_path: Path, undamaged: Answers) -> None:
    run_mutants(40, 1, built, other, tmp_path, undamaged)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_five_hundred_mutants(built: Path, other: Path, tmp_path: Path, undamaged: Answers) -> None:
    run_mutants(500, 2, built, other, tmp_path, undamaged)


def test_what_an_index_says_of_itself_is_restored_from_its_documents(
    copy: Path, undamaged: Answers, textrip: Run
) -> None:
    """No document is lost over it: an index built again would lack what was added since."""
    with opened(copy) as index:
        index.add([Document("added", "", "a zeppelin over the sea")])
    about = (copy / "index.json").read_bytes()
    for damaged in (about.replace(b'"fusion"', b'"fusiom"'), b"{", None):
        if damaged is None:
            (copy / "index.json").unlink()
        else:
            (copy / "index.json").write_bytes(damaged)
        refused = textrip("search", copy, "sea")
        assert refused.code == 2
        assert f"textrip index {copy} --rebuild" in refused.err
        assert textrip("index", copy, "--rebuild").code == 0
        assert (copy / "index.json").read_bytes() == about
    with opened(copy) as index:
        assert index.search("zeppelin", mode="bm25")[0].doc_id == "added"
        index.note(recall={"recall@10": 1.0})
        noted = (copy / "index.json").read_bytes()
    (copy / "index.json").unlink()
    assert textrip("index", copy, "--rebuild").code == 0
    assert (copy / "index.json").read_bytes() == noted


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_a_damaged_query_encoder_is_exported_again(damage: str, copy: Path, textrip: Run) -> None:
    with opened(copy) as index:
        expected = index.search("sea")
    model = copy / "onnx" / "model.onnx"
    if damage == "flipped":
        model.write_bytes(flipped(model.read_bytes(), 1000))
    else:
        model.unlink()
    refused = textrip("search", copy, "sea")
    assert refused.code == 2
    assert "--rebuild exports its query encoder again" in refused.err
    mended = textrip("index", copy, "--rebuild")
    assert mended.code == 0
    with opened(copy) as index:
        assert index.check() == []
        assert [hit.doc_id for hit in index.search("sea")] == [hit.doc_id for hit in expected]
        assert isinstance(index.encoder, OnnxEncoder)


def test_a_damaged_query_encoder_of_8_bits_is_exported_again(
    tiny_encoder_folder: Path, tmp_path: Path, textrip: Run
) -> None:
    rows = [{"id": f"d{n}", "text": f"rose garden {n}"} for n in range(4)]
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    folder = tmp_path / "index"
    made = textrip(
        "index", tmp_path / "d.jsonl", "--model", tiny_encoder_folder, "-o", folder, "--backend", "onnx-int8"
    )
    assert made.code == 0
    with (folder / "onnx" / "model.onnx").open("ab") as stream:
        stream.write(b"x")
    assert "--rebuild exports its query encoder again" in textrip("search", folder, "rose").err
    assert textrip("index", folder, "--rebuild").code == 0
    assert textrip("search", folder, "rose").code == 0


def test_documents_that_are_older_than_what_is_derived_are_told(copy: Path) -> None:
    """A database of before, or one that was copied without its log."""
    before = (copy / "documents.sqlite").read_bytes()
    with opened(copy) as index:
        index.add([Document("added", "", "a zeppelin over the sea")])
    (copy / "documents.sqlite").write_bytes(before)
    with opened(copy) as index, pytest.raises(InputError, match=r"documents are older than what was derived"):
        index.search("sea", mode="bm25")
    with opened(copy) as index:
        index.rebuild()
        assert index.search("sea", mode="bm25")


@pytest.mark.parametrize("name", ["index.json", "onnx/onnx.json", "derived/G/derived.json"])
def test_a_pipe_in_place_of_a_file_is_refused(name: str, copy: Path, textrip: Run) -> None:
    """It would be waited for, for good."""
    place = place_of(copy, name)
    place.unlink()
    os.mkfifo(place)
    refused = textrip("search", copy, "sea")
    assert refused.code == 2
    assert f"{place}: is neither a file nor a folder" in refused.err


def test_a_damaged_derivation_is_made_again_by_the_next_change(copy: Path, remarks: list[str]) -> None:
    place = place_of(copy, "derived/G/vectors.npy")
    place.write_bytes(flipped(place.read_bytes(), 200))
    with opened(copy) as index:
        assert index.search("rose", mode="bm25")
        assert any(f"textrip index {copy} --rebuild" in said for said in remarks)
        index.add([Document("added", "", "a zeppelin over the sea")])
        assert index.check() == []
    remarks.clear()
    with opened(copy) as index:
        assert index.search("zeppelin", mode="bm25")[0].doc_id == "added"
    assert remarks == []
