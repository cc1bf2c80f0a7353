"""`textrip train`."""

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textrip import processes
from textrip.cli.command import command, refuse_idle
from textrip.cli.groups import COLUMNS, MINING, TRAINING
from textrip.cli.options import (
    ByLabel,
    DenseShare,
    DevDocuments,
    Device,
    DryRun,
    Force,
    Json,
    Rounds,
    Seed,
    Stemmer,
    TrustRemoteCode,
    WithoutOwnId,
)
from textrip.cli.request import Request, refuse_beside_resume
from textrip.data.columns import Columns
from textrip.errors import InputError
from textrip.files import STDIN
from textrip.mining.settings import MineSettings
from textrip.progress import say
from textrip.training.length import epochs_of, steps_of
from textrip.training.settings import TrainSettings

if TYPE_CHECKING:
    from textrip.data.collection import Collection
    from textrip.encoding.encoder import Encoder
    from textrip.mining.triples import Triples


# Forward and backward, measured on 2 CPU cores with MiniLM-L6.
_TOKENS_A_SECOND = 2000
_ABOUT = "seconds about (2 CPU cores, MiniLM-L6)"
_SAMPLE = 256


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "train", TRAINING, MINING, COLUMNS)(train)


def train(
    context: typer.Context,
    columns: Columns,
    mining: MineSettings,
    settings: TrainSettings,
    source: Annotated[
        str | None,
        typer.Argument(metavar="DATA-or-TRIPLES", help="Data (mined first), or triples of textrip mine."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write.")] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="What the triples were mined from, when TRIPLES are given.")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", help="The base encoder: a name or a folder.")
    ] = "all-MiniLM-L6-v2",
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            help="Go on with a run that was stopped: MODEL.unfinished, and nothing else. With --plot also a "
            "finished MODEL, for its plot.",
        ),
    ] = None,
    checkpoint_minutes: Annotated[
        float, typer.Option("--checkpoint-minutes", min=0, help="So often a checkpoint is saved.")
    ] = 5.0,
    plot: Annotated[
        bool, typer.Option("--plot", help="Also training.png and training.html in the model's folder.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write the log for TensorBoard, while it is trained.")
    ] = False,
    dev_documents: DevDocuments = 2500,
    without_own_id: WithoutOwnId = False,
    by_label: ByLabel = False,
    rounds: Rounds = 1,
    dense_share: DenseShare = 0.5,
    stemmer: Stemmer = "english",
    trust_remote_code: TrustRemoteCode = False,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
    dry_run: DryRun = False,
    force: Force = False,
) -> None:
    """Fine-tune an encoder with triplet loss; what was best on dev is saved, the start included.

    The result is an ordinary sentence-transformers folder with a model card and a manifest.

    Example: textrip train my-corpus/ -o model --epochs 3 --rounds 2

    Labelled texts: textrip train tickets.csv -o model --by-label --label-column queue
    """
    from textrip.cli.output import emit, emit_json
    from textrip.cli.reading import read_for_models
    from textrip.encoding.encoder import Encoder
    from textrip.lexical.analyzer import Analyzer
    from textrip.pipeline.train import train as fine_tune
    from textrip.training.plots import require_matplotlib
    from textrip.training.run_folder import MANIFEST, RunFolder

    if resume is not None:
        refuse_beside_resume(context, but=["trust_remote_code", "plot"])
        if plot and (resume / MANIFEST).is_file():
            _draw_later(resume, json=json)
            return
        request = Request.of_run(resume, of="train")
    elif source is None or output is None:
        missing = "DATA-or-TRIPLES" if source is None else "-o MODEL"
        raise InputError(
            f"{missing} is missing: textrip train DATA -o MODEL, or textrip train --resume FOLDER"
        )
    else:
        request = Request(
            source=source, data=data, output=str(output), columns=columns, mining=mining, settings=settings,
            model=model, dev_documents=dev_documents, without_own_id=without_own_id, by_label=by_label,
            stemmer=stemmer, device=device,
            checkpoint_minutes=checkpoint_minutes, rounds=rounds, dense_share=dense_share, plot=plot,
            tensorboard=tensorboard,
        )  # fmt: skip
    if request.plot or plot:
        require_matplotlib()
    run = RunFolder.beside(request.output) if resume is None else RunFolder(resume)
    read_from = [request.source, request.data]
    run.refuse_early(request.output, resume=resume is not None, force=force, mark=MANIFEST, read=read_from)
    # A run that goes on has its triples, whatever became of their file.
    goes_on = resume is not None and run.has_triples
    triples = None if goes_on else _triples(context, request)
    _refuse_early(request)
    asked = () if goes_on else request.mining.models  # which is over
    analyzer = Analyzer.for_language(request.stemmer)
    collection = read_for_models(
        request.data or request.source,
        request.columns,
        request.model,
        *asked,
        device=request.device,
        max_length_tokens=request.settings.max_length_tokens,
    )
    if dry_run:
        collection = _prepared(collection, request, triples, force=force)
        encoder = Encoder.load(
            request.model,
            device=request.device,
            max_length_tokens=request.settings.max_length_tokens,
            trust_remote_code=trust_remote_code,
        )
        plan = _plan(collection, request, run.triples() if goes_on else triples, encoder)
        emit_json(plan) if json else emit("\n".join(f"{name}: {value}" for name, value in plan.items()))
        return
    manifest = fine_tune(
        collection, request.output, triples=triples,
        model=request.model, trust_remote_code=trust_remote_code, device=request.device,
        settings=request.settings, mining=request.mining, analyzer=analyzer,
        dev_documents=request.dev_documents, without_own_id=request.without_own_id,
        by_label=request.by_label, rounds=request.rounds, dense_share=request.dense_share, run=run,
        resume=resume is not None, request=request.to_dict(),
        checkpoint_minutes=request.checkpoint_minutes, tensorboard=request.tensorboard, force=force,
    )  # fmt: skip
    if not processes.is_first():
        return
    if request.plot or plot:
        try:
            _draw(Path(request.output), manifest)
        except KeyboardInterrupt:
            way = shlex.join(["textrip", "train", "--resume", request.output, "--plot"])
            say(f"{request.output} is written and complete, but for its plot, which is drawn by: {way}")
            raise
    if json:
        emit_json({**manifest, "output": request.output})
    else:
        emit(_report(manifest, request))


def _draw_later(model: Path, *, json: bool) -> None:
    from textrip.cli.output import emit, emit_json
    from textrip.training.plots import require_matplotlib
    from textrip.training.train import read_manifest

    require_matplotlib()
    manifest = read_manifest(model)
    _draw(model, manifest)
    if json:
        emit_json({**manifest, "output": str(model)})
    else:
        emit(f"drawn: {model / 'training.png'}")


def _draw(model: Path, manifest: dict[str, Any]) -> None:
    from textrip.training.log import read_log
    from textrip.training.plots import plot_training

    entries = read_log(model / "log.jsonl")
    if not entries:
        raise InputError(f"{model / 'log.jsonl'}: is missing or empty, so there is nothing to draw")
    plot_training(manifest, entries, model)


def _prepared(collection: Any, request: Request, triples: "Triples | None", *, force: bool) -> Any:
    """What would be trained on; what the training would refuse of the data, a plan does, too."""
    from textrip.eval.evaluate import heed_own_documents
    from textrip.pipeline.check import require_trainable
    from textrip.pipeline.prepare import prepare
    from textrip.pipeline.train import prepare_labels_to_train

    if request.by_label:
        return prepare_labels_to_train(collection)
    require_trainable(collection, "dev", triples=triples, force=force)
    prepared = prepare(collection)
    if request.without_own_id:
        heed_own_documents(prepared, "dev", without=True)
    return prepared


def _refuse_early(request: Request) -> None:
    """Say what the training would refuse, before anything is read; a dry run says it, too."""
    from textrip.pipeline.train import refuse_beside_labels
    from textrip.rounds import Rounds
    from textrip.training.requirements import refuse_what_is_for_labels
    from textrip.training.train import refuse_what_is_for_one

    refuse_what_is_for_one(request.settings, rounds=request.rounds)
    refuse_what_is_for_labels(request.settings, by_label=request.by_label)
    Rounds.wanted(request.rounds, request.dense_share, request.mining, by_label=request.by_label)
    if request.by_label:
        refuse_beside_labels(None, without_own_id=request.without_own_id)


def _triples(context: typer.Context, request: Request) -> "Triples | None":
    """The triples of a file; None where data is to be mined."""
    from textrip.mining.triples import Triples, is_triples_file

    if request.by_label:
        refuse_idle(context, "--by-label mines nothing", MINING.options)
    if request.data is None and not is_triples_file(request.source):
        return None
    if request.source == STDIN or Path(request.source).is_dir():
        raise InputError(f"{request.source} holds no triples, so --data has nothing to add; give one of them")
    # Under any name; and a file that is missing or cut is told for what it is.
    triples = Triples.read(request.source)
    if request.by_label:
        raise InputError(f"{request.source} holds triples, and --by-label trains on labels")
    if request.data is None:
        raise InputError(f"{request.source} holds triples by id: name what they were mined from with --data")
    if request.rounds == 1:
        refuse_idle(context, f"{request.source} is mined already", MINING.options)
    return triples


def _report(manifest: dict[str, Any], request: Request) -> str:
    lines = []
    if manifest["dev"]:
        measured = [f"{step['nDCG@10']:.4f} (epoch {step['epoch']:.3g})" for step in manifest["dev"]]
        lines.append(f"dev nDCG@10: {', '.join(measured)}")
    if manifest["stopped"]:
        lines.append(f"stopped: {manifest['stopped']}")
    kept = manifest["kept_step"]
    lines.append(f"kept: {f'step {kept}' if kept else 'the untuned weights: no epoch was better'}")
    lines.append(f"written: {request.output}")
    return "\n".join(lines)


def _plan(
    collection: "Collection", request: Request, triples: "Triples | None", encoder: "Encoder"
) -> dict[str, Any]:
    from textrip.pipeline.mined import without_dev
    from textrip.training.material import GroupedTriples, LabelledTexts
    from textrip.training.requirements import require_fitting, require_fitting_encoder

    a_document = _tokens(encoder, collection.texts)
    settings, mining = request.settings, request.mining
    if triples is not None:
        triples = without_dev(triples, collection)
    if request.by_label or triples is not None:
        given = LabelledTexts(collection) if triples is None else GroupedTriples(collection, triples)
        require_fitting(given, encoder, settings)
    else:
        require_fitting_encoder(encoder, settings)
    if request.by_label:
        sampler = given.sampler(settings)
        epochs = epochs_of(settings.epochs, len(sampler))
        return {
            "documents": len(collection.corpus),
            "labels": len(set(collection.labels)),
            "steps": steps_of(epochs, len(sampler)),
            "texts encoded": round(sampler.size * epochs),
            _ABOUT: round(a_document * sampler.size * epochs / _TOKENS_A_SECOND),
            "writes": request.output,
        }
    ids, queries, mined = _asked(collection, request, triples)
    later = max(2.0, mining.negatives)  # what a later round mines at least
    each_round = [mined, *[later] * (request.rounds - 1)]
    an_epoch = -(-queries // settings.batch_queries)
    epochs = epochs_of(settings.epochs, an_epoch)
    encoded = math.fsum(queries * (2 + negatives) * epochs for negatives in each_round)
    a_query = _tokens(encoder, [collection.query_texts[query_id] for query_id in ids])
    tokens = math.fsum(
        queries * (a_query + (1 + negatives) * a_document) * epochs for negatives in each_round
    )
    return {
        "documents": len(collection.corpus),
        "queries": queries,
        "steps": steps_of(epochs, an_epoch) * request.rounds,
        "texts encoded": round(encoded),
        _ABOUT: round(tokens / _TOKENS_A_SECOND),
        "writes": request.output,
    }


def _tokens(encoder: "Encoder", texts: Sequence[str]) -> float:
    """Tokens of a text in the mean, by a sample; a longer one is cut."""
    sample = [texts[row] for row in range(0, len(texts), max(1, len(texts) // _SAMPLE))]
    counts = encoder.count_tokens(sample)
    return sum(counts) / len(counts)


def _asked(
    collection: "Collection", request: Request, triples: "Triples | None"
) -> tuple[list[str], int, float]:
    """The query_ids, how many of them (or of groups) an epoch asks, and how many mined negatives one has."""
    by_group = request.settings.sampling == "positive"
    if triples is not None:
        groups = triples.groups
        ids = sorted({group.query_id for group in groups})
        asked = len(groups) if by_group else len(ids)
        return ids, asked, sum(len(group.negatives) for group in groups) / len(groups)
    relevant = {
        query_id: collection.count_relevant(judged) for query_id, judged in collection.judged("train").items()
    }
    ids = [query_id for query_id, positives in relevant.items() if positives]
    groups_of_all = sum(min(relevant[query_id], request.mining.positives) for query_id in ids)
    return ids, groups_of_all if by_group else len(ids), request.mining.negatives
