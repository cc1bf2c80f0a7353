"""The groups of options that commands share: columns of a table, how to mine, how to train.

Their defaults are those of the records that they make.
"""

from typing import Any

import typer

from textrip.cli.command import OptionGroup
from textrip.data.columns import Columns
from textrip.errors import InputError
from textrip.mining.settings import MineSettings
from textrip.training.names import DISTANCES, LOSSES, ON_COLLAPSE, PRECISIONS, SCHEDULES, STRATEGIES
from textrip.training.settings import TrainSettings, number_or_auto

_ROLES = ("id", "title", "text", "anchor", "positive", "negative", "score", "label")


def _options(
    record: type, panel: str, options: dict[str, tuple[Any, str]]
) -> dict[str, tuple[Any, Any, Any]]:
    """By field of a record: the type, typer's option with its help, and the record's default."""
    return {
        name: (
            annotation,
            typer.Option(f"--{name.replace('_', '-')}", help=text, rich_help_panel=panel),
            _shown(getattr(record, name)),
        )
        for name, (annotation, text) in options.items()
    }


def _shown(default: Any) -> Any:
    """A default as it is typed: several dimensions are one string."""
    return ",".join(map(str, default)) if isinstance(default, tuple) else default


COLUMNS = OptionGroup(
    "columns",
    {
        f"{role}_column": (
            str | None,
            typer.Option(
                f"--{role}-column",
                help=f"The {role}'s column.",
                rich_help_panel="Columns (where the usual names do not tell)",
            ),
            None,
        )
        for role in _ROLES
    },
    lambda own, _: Columns(**{role: own[f"{role}_column"] for role in _ROLES}),
)

MINING = OptionGroup(
    "mining",
    _options(
        MineSettings,
        "Mining",
        {
            "negatives": (int, "Mined negatives for a positive, at most."),
            "random": (int, "So many of the negatives are drawn from the whole corpus."),
            "dense": (int, "So many of the negatives come from the ranking of --dense-model."),
            "dense_model": (str | None, "The encoder that ranks, by folder or name."),
            "dense_nearest": (str, "How it ranks: exact, or hnsw (a graph, for a million documents)."),
            "depth": (int, "How deep in the ranking a negative may stand."),
            "skip": (int, "Ranks passed over at the top, where unjudged relevant documents stand."),
            "most_score": (float, "Pass over what has more than this share of the best BM25 score."),
            "least_score": (float, "Pass over what has less than this share of the best BM25 score."),
            "sample": (bool, "Draw the negatives from the window; else take the hardest."),
            "near_duplicates": (
                float | None,
                "Leave out what resembles a relevant document so much (Jaccard index of word triples); "
                "0: copies alone.",
            ),
            "denoise": (
                str,
                "Leave out what this encoder or cross-encoder finds as relevant as a relevant document; "
                "auto: the encoder that is to be trained, where there is one; none.",
            ),
            "denoise_margin": (float, "A negative scores so much of the lowest positive's score below it."),
            "positives": (int, "At most so many positives of a query."),
            "per_document": (int | None, "A document is the positive of at most so many groups."),
        },
    ),
    lambda own, others: MineSettings(**own, seed=others["seed"]),
)

TRAINING = OptionGroup(
    "settings",
    _options(
        TrainSettings,
        "Training",
        {
            "epochs": (
                str,
                "An epoch asks every query once; auto: what comes nearest to 120 steps, 1 to 10.",
            ),
            "evaluations": (
                int,
                "So often in an epoch dev is measured; the best is saved, the start included.",
            ),
            "batch_queries": (int, "Queries a batch, or labels."),
            "sampling": (
                str,
                "query: an epoch asks each once; positive: once for each of its positives.",
            ),
            "weight_power": (float, "A query counts 1 / its positives to this power; 0: all alike."),
            "texts_per_label": (int, "Texts that a label brings to a batch (train --by-label)."),
            "learning_rate": (
                str,
                "At its peak; auto is 4e-5 for an encoder 384 wide, 2e-5 for one of 768.",
            ),
            "schedule": (str, f"Of the rate after its rise: {', '.join(SCHEDULES)}."),
            "warmup_share": (float, "Of all steps; the rate rises over them."),
            "max_length_tokens": (int | None, "Longer texts are cut; the model's own length if not given."),
            "loss": (
                str,
                f"{', '.join(LOSSES)} (proxies: train --by-label); auto is smooth, or triplet with a "
                "--strategy of triplets.",
            ),
            "strategy": (
                str,
                f"Negatives: {', '.join(STRATEGIES)}; auto chooses from what the untuned encoder sees.",
            ),
            "hardest_positive": (bool, "Compare with the farthest relevant document of the batch."),
            "distance": (str, f"{', '.join(DISTANCES)}."),
            "margin": (str, "In units of the distance; auto chooses it from the mined triples."),
            "temperature": (float, "The smooth and the proxy losses', in units of the distance."),
            "second_margin": (float | None, "The quadruplet loss's; half of --margin where not given."),
            "proxy_learning_rate": (float, "Of the labels' vectors (train --by-label, proxy losses)."),
            "weight_decay": (float, "Of matrices; biases and LayerNorm have none."),
            "max_gradient_norm": (float, "Longer gradients are clipped."),
            "matryoshka": (str, "Also train the first so many dimensions: 256,128,64."),
            "query_prompt": (str | None, "Goes before every query, in training and ever after."),
            "document_prompt": (str | None, "Goes before every document."),
            "precision": (str, f"{', '.join(PRECISIONS)}; auto is bf16 autocast where CUDA has it."),
            "gradient_checkpointing": (bool, "Less memory, more time: activations are computed twice."),
            "lora_rank": (
                int | None,
                "Train low-rank adapters of this rank, not the matrices.",
            ),
            "compile": (bool, "Compile the transformer: slow first steps, faster ones after."),
            "cache_tokens": (
                int | None,
                "Gradient caching: so many tokens at once, for batches that would not fit the memory.",
            ),
            "on_collapse": (str, f"When all vectors become alike: {', '.join(ON_COLLAPSE)}."),
            "dropout": (bool, "Leave the base's dropout on."),
        },
    ),
    lambda own, others: TrainSettings(
        **{
            **own,
            "epochs": number_or_auto("epochs", own["epochs"]),
            "margin": number_or_auto("margin", own["margin"]),
            "learning_rate": number_or_auto("learning_rate", own["learning_rate"]),
            "matryoshka": _dimensions(own["matryoshka"]),
        },
        seed=others["seed"],
    ),
)


def _dimensions(given: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in given.split(",") if part.strip())
    except ValueError:
        raise InputError(f"matryoshka is {given!r}, dimensions with commas were expected (256,128)") from None
