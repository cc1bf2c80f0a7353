"""What encoder, machine and triples must be for a training's settings; asked before anything is changed."""

from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.records import Kind
from textrip.training.margin import require_possible
from textrip.training.material import Material
from textrip.training.names import MARGINLESS, OF_PROXIES
from textrip.training.settings import TrainSettings
from textrip.training.shaping import require_compiler


def require_fitting(material: Material, base: Encoder, settings: TrainSettings) -> None:
    """Raise InputError for what this encoder, this machine and these triples cannot do."""
    require_fitting_encoder(base, settings)
    if not material.size:
        raise InputError("there is no group to train on; mine triples for the queries of train")
    if material.labels and (settings.sampling != "query" or settings.weight_power):
        raise InputError(
            "sampling and weight_power are about queries with several positives, and by_label trains on "
            "labels: leave them out"
        )
    prompts = _prompts(base, settings)
    if material.labels and prompts["query"] != prompts["document"]:
        raise InputError(
            f"by label texts are compared with texts: {prompts['query']!r} goes before those that ask, "
            f"{prompts['document']!r} before the others; give --query-prompt and --document-prompt the same"
        )
    if settings.strategy == "mined" and not material.has_mined:
        raise InputError(
            "strategy is mined, and no group has a mined negative; choose another --strategy, or mine "
            "with other options"
        )
    refuse_what_is_for_labels(settings, by_label=bool(material.labels))


def require_fitting_encoder(base: Encoder, settings: TrainSettings) -> None:
    """Raise InputError for what this encoder and this machine cannot do, whatever the triples."""
    _require_possible_margins(base, settings)
    _require_room(base, settings)
    if any(short >= base.dimension for short in settings.matryoshka):
        raise InputError(
            f"matryoshka is {', '.join(map(str, settings.matryoshka))}; {base.name} has {base.dimension} "
            "dimensions, fewer were expected"
        )
    if settings.compile:
        require_compiler(base.device)


def refuse_what_is_for_labels(settings: TrainSettings, *, by_label: bool) -> None:
    """Raise InputError for what only a training by label has a use for, in another one."""
    if settings.loss in OF_PROXIES and not by_label:
        raise InputError(f"loss is {settings.loss}, which compares labels: train with --by-label")
    if settings.texts_per_label != TrainSettings.texts_per_label and not by_label:
        raise InputError(
            f"texts_per_label is {settings.texts_per_label}, and nothing is trained by label: train with "
            "--by-label, or leave it out"
        )


def gives_unit_vectors(encoder: Encoder) -> bool:
    """Whether the encoder's last module normalises, so that distances are bounded."""
    return type(encoder.model[-1]).__name__ == "Normalize"


def _prompts(base: Encoder, settings: TrainSettings) -> dict[Kind, str]:
    """What goes before a text in this training."""
    query, document = settings.query_prompt, settings.document_prompt
    return {
        "query": base.prompt("query") if query is None else query,
        "document": base.prompt("document") if document is None else document,
    }


def _require_room(base: Encoder, settings: TrainSettings) -> None:
    """Raise InputError for a prompt behind which nothing is read: all texts would have one vector."""
    length = settings.max_length_tokens or base.max_length_tokens
    for kind, prompt in _prompts(base, settings).items():
        tokens = base.count_tokens([prompt], cut=False)[0] if prompt else 0
        if tokens >= length:
            raise InputError(
                f"{kind}_prompt has {tokens} tokens, and {length} are read of a text with its prompt: "
                "nothing would be read of the text; shorten it, or raise --max-length-tokens"
            )


def _require_possible_margins(base: Encoder, settings: TrainSettings) -> None:
    for name, margin in (("margin", settings.margin), ("second_margin", settings.second_margin)):
        if margin is not None and margin != "auto":
            require_possible(
                margin, settings.distance, name=name, dimension=base.dimension,
                unit_vectors=gives_unit_vectors(base), or_none=settings.loss in MARGINLESS,
            )  # fmt: skip
