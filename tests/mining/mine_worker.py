"""Mines triples that a slow encoder filters, and notes what was encoded; to be killed and started again.

python -m tests.mining.mine_worker FOLDER
"""

import sys
from pathlib import Path

from tests.encoding.kept_worker import WINDOW, Slow
from tests.retrieval.stub import text_of
from textrip.data.collection import Collection
from textrip.encoding import text_encoder
from textrip.encoding.kept import keeping
from textrip.mining import mine as mining
from textrip.mining.scoring import EncoderScorer
from textrip.mining.settings import MineSettings
from textrip.records import Document

DOCUMENTS, QUERIES = 400, 200


def collection() -> Collection:
    """Half of the documents are relevant, each for the query of its first words."""
    texts = {f"d{number:03}": text_of(number) for number in range(DOCUMENTS)}
    queries = {f"q{number:03}": " ".join(text_of(number).split()[:4]) for number in range(QUERIES)}
    judged = {f"q{number:03}": {f"d{number:03}": 1} for number in range(QUERIES)}
    documents = [Document(doc_id, "", text) for doc_id, text in texts.items()]
    return Collection.of("mined", documents, queries, {"train": judged})


def main(folder: Path) -> None:
    """Mine."""
    text_encoder.WINDOW = WINDOW
    mining._QUERIES_A_BATCH = 40
    found = collection()
    scorer = EncoderScorer(Slow(folder / "notes.txt"))  # type: ignore[arg-type]
    print("ready", flush=True)
    with keeping(folder / "triples.parquet"):
        triples = mining.mine(found, settings=MineSettings(negatives=2), scorer=scorer)
        triples.write(folder / "triples.parquet")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
