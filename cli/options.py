"""Single options that several commands share; cli/groups.py has whole groups of them."""

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[Path, typer.Option("--output", "-o", help="Where to write.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
Seed = Annotated[
    int,
    typer.Option("--seed", min=0, max=2**32 - 1, help="For every draw: the same seed, the same result."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Backend = Annotated[
    str,
    typer.Option("--backend", help="What encodes: torch, onnx or onnx-int8 (ONNX Runtime, on the CPU)."),
]
EncodePrecision = Annotated[
    str,
    typer.Option("--precision", help="Of torch's matrix products: float32, bf16 or fp16 (for a GPU)."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for a program.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print plan, sizes and time; write nothing.")]
MaxLength = Annotated[
    int | None,
    typer.Option("--max-length-tokens", help="Longer texts are cut; the model's own length where not given."),
]
Dimension = Annotated[
    int | None,
    typer.Option(
        "--dimension", help="The first so many components of each vector, as --matryoshka trains them."
    ),
]
DevDocuments = Annotated[
    int,
    typer.Option("--dev-documents", min=0, help="Dev searches at most so many documents (0: all)."),
]
Stemmer = Annotated[
    str,
    typer.Option(
        "--stemmer",
        help="Language of BM25's Snowball stemmer (english, german, ...); none where it has none.",
    ),
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code", help="Run code that a model brings along. Only for models you trust."
    ),
]
Rounds = Annotated[
    int, typer.Option("--rounds", min=1, help="From 2 on: mine again with what was tuned, train again.")
]
DenseShare = Annotated[
    float,
    typer.Option("--dense-share", help="Of a later round's negatives, from the tuned encoder's ranking."),
]
ByLabel = Annotated[
    bool,
    typer.Option("--by-label", help="Labelled texts: what is relevant for a text is what has its label."),
]
WithoutOwnId = Annotated[
    bool,
    typer.Option(
        "--without-own-id",
        help="Leave out a document with the query's own id (ArguAna, Quora: queries are documents).",
    ),
]
