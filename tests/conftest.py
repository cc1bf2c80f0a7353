"""Fixtures: a tiny encoder of random weights, a tiny collection that can be learned, and real data."""

import gc
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A tiny model gains nothing by threads, and loses much to their waiting for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")

from tests.running import textrip  # noqa: F401  # a fixture, for every folder below
from textrip import progress
from textrip.data.collection import Collection
from textrip.encoding.encoder import Encoder
from textrip.records import Document

# No test is timed: a busy machine makes nothing wrong.
settings.register_profile("textrip", deadline=None)
settings.load_profile("textrip")


def pytest_collection_finish() -> None:
    """Leave what was imported out of later collections of garbage: every training ends with a whole one."""
    import textrip.training.trainer  # noqa: F401  # with the libraries, millions of objects

    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _as_it_was() -> Iterator[None]:
    """After each file: what else was imported is left out, too, and torch has the one thread again.

    numba gives OpenMP all processors when bm25s asks it for them, and torch has the same OpenMP: in both
    workers the tiny trainings that follow took five times as long.
    """
    yield
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    gc.collect()
    gc.freeze()


TOPICS = {
    "garden": ["rose", "tulip", "soil", "seed", "rain", "bloom", "petal", "root", "spade", "compost"],
    "sea": ["wave", "boat", "harbour", "tide", "sail", "anchor", "storm", "reef", "shell", "gull"],
    "kitchen": ["oven", "flour", "butter", "whisk", "sugar", "dough", "spice", "pan", "recipe", "salt"],
    "music": ["violin", "chord", "tempo", "drum", "melody", "choir", "concert", "note", "rhythm", "opera"],
    "space": ["orbit", "comet", "rocket", "planet", "moon", "crater", "star", "probe", "lunar", "dust"],
}
# The queries' own words: only training can connect them with the documents' words.
ASKED = {"garden": "plants", "sea": "ships", "kitchen": "baking", "music": "songs", "space": "astronomy"}


@pytest.fixture(scope="session")
def tiny_collection() -> Collection:
    """60 documents of 5 topics and 40 queries, with two of a query's words in its document."""
    draw = random.Random(7)
    documents, queries, judged = [], {}, {}
    for number in range(60):
        topic = list(TOPICS)[number % len(TOPICS)]
        words = [draw.choice(TOPICS[topic]) for _ in range(12)]
        words += [draw.choice(TOPICS[draw.choice(list(TOPICS))]) for _ in range(4)]
        documents.append(Document(f"d{number:02d}", f"{topic} {number}", " ".join(words)))
        if number < 40:
            queries[f"q{number:02d}"] = f"{ASKED[topic]} {draw.choice(words)} {draw.choice(words)}"
            judged[f"q{number:02d}"] = {f"d{number:02d}": 1}
    ids = list(judged)
    splits = {"train": ids[:24], "dev": ids[24:32], "test": ids[32:]}
    return Collection.of(
        "tiny",
        documents,
        queries,
        {split: {query_id: judged[query_id] for query_id in part} for split, part in splits.items()},
    )


def build_tiny_encoder(folder: Path, *, prompts: dict[str, str] | None = None, seed: int = 0) -> Path:
    """Write a BERT of 2 layers and 32 dimensions with random weights as a sentence-transformers folder."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules as layers
    from tokenizers import Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import WordLevel
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = sorted(
        {word for topic, words in TOPICS.items() for word in [topic, *words]} | set(ASKED.values())
    )
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *words,
        *(str(number) for number in range(100)),
        "query",
        ":",
    ]
    tokenizer = Tokenizer(
        WordLevel({word: place for place, word in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    raw = folder / "raw"
    BertModel(config).save_pretrained(raw)
    fast.save_pretrained(raw)
    transformer = layers.Transformer(str(raw), max_seq_length=32)
    modules = [transformer, layers.Pooling(32, pooling_mode="mean"), layers.Normalize()]
    model = SentenceTransformer(modules=modules, device="cpu", prompts=prompts)
    model.save_pretrained(str(folder / "model"), create_model_card=False)
    return folder / "model"


def build_cross_encoder(encoder_folder: Path, folder: Path, labels: int = 1) -> Path:
    """A cross-encoder of random weights with the tiny encoder's vocabulary."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(encoder_folder)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=64, num_labels=labels,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder on disk."""
    return build_tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def tiny_encoder(tiny_encoder_folder: Path) -> Encoder:
    """A tiny encoder of one's own, which a test may train."""
    return Encoder.load(tiny_encoder_folder, device="cpu")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real collections: TEXTRIP_DATA, or shared/data beside the project."""
    root = Path(__file__).parent.parent
    named = os.environ.get("TEXTRIP_DATA")
    for folder in ([Path(named)] if named else []) + [
        root.parent / "shared" / "data",
        root / "shared" / "data",
    ]:
        if (folder / "scifact").is_dir():
            return folder
    pytest.skip("no real data: set TEXTRIP_DATA to a folder that holds scifact, nfcorpus and cranfield")


@pytest.fixture(scope="session")
def write_beir() -> object:
    """A function that writes a collection in BEIR's layout."""
    import json

    def write(collection: Collection, folder: Path) -> Path:
        (folder / "qrels").mkdir(parents=True)
        with (folder / "corpus.jsonl").open("w", encoding="utf-8") as stream:
            for row in collection.corpus:
                line = {"_id": row["doc_id"], "title": row["title"], "text": row["text"]}
                stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        with (folder / "queries.jsonl").open("w", encoding="utf-8") as stream:
            for query_id, text in collection.query_texts.items():
                stream.write(json.dumps({"_id": query_id, "text": text}, ensure_ascii=False) + "\n")
        for split, judged in collection.qrels.items():
            with (folder / "qrels" / f"{split}.tsv").open("w", encoding="utf-8") as stream:
                stream.write("query-id\tcorpus-id\tscore\n")
                for query_id, documents in judged.items():
                    stream.writelines(
                        f"{query_id}\t{doc_id}\t{grade}\n" for doc_id, grade in documents.items()
                    )
        return folder

    return write


@pytest.fixture
def remarks() -> Iterator[list[str]]:
    """What is said."""
    said: list[str] = []
    with progress.reporting(bars=False, say=said.append):
        yield said
