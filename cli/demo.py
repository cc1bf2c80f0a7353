"""`textrip demo`."""

from pathlib import Path
from typing import Annotated

import typer

from textrip.cli.command import command
from textrip.cli.options import Device, Force, Json, Seed
from textrip.cli.request import Request

QUESTIONS = (
    "split a string the way a shell does",
    "how do I wait for several threads to finish",
    "convert an IPv6 address to its compressed form",
)


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "demo")(demo)


def demo(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Keep model, index and report in this folder.")
    ] = None,
    json: Json = False,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
) -> int:
    """Show the whole way on the documentation of Python's standard library, in minutes on a CPU.

    Mines triples, fine-tunes the embedded encoder, evaluates it against BM25 and its untuned self on modules
    that it has not seen, indexes, searches and clusters.

    Example: textrip demo --out textrip-demo
    """
    import tempfile
    import time

    from textrip.cli.output import heard_or_not
    from textrip.cli.report import print_report
    from textrip.mining.settings import MineSettings
    from textrip.pipeline.cluster import cluster
    from textrip.pipeline.fit import fit
    from textrip.progress import say
    from textrip.retrieval.index import Index
    from textrip.training.run_folder import REPORT, RunFolder
    from textrip.training.settings import TrainSettings
    from textrip.writable import refuse_taking_away

    started = time.perf_counter()
    if out is not None:
        refuse_taking_away(out, force=force, mark=REPORT)
    # The first words say what a function does; one epoch, as a person waits.
    settings = TrainSettings(epochs=1, max_length_tokens=64, seed=seed)
    with tempfile.TemporaryDirectory(prefix="textrip-demo-") as scratch:
        folder = out or Path(scratch) / "demo"
        mining = MineSettings(seed=seed)
        request = Request(
            source="stdlib", output=str(folder), mining=mining, settings=settings, device=device
        )
        done = fit(
            "stdlib",
            folder,
            settings=settings,
            mining=mining,
            run=RunFolder.beside(folder, of="fit", passing=out is None),
            request=request.to_dict(),
            device=device,
            force=force,
            stage=lambda name: say(f"· {name}"),
        )
        index = Index.open(folder / "index", device=device)
        say("· searching and clustering")
        answers = {question: index.search(question, k=3) for question in QUESTIONS}
        clusters = cluster(index, k=12, seed=seed)
        with heard_or_not():
            print_report(done, answers, clusters, index.analyzer, kept=out, as_json=json)
        index.close()
    say(f"done in {time.perf_counter() - started:.0f} s")
    return 3 if done.verdict == "REGRESSION" else 0
