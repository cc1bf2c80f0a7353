"""Low-rank adaptation: the base's matrices stand still, and each learns a product of two thin ones.

"LoRA: Low-Rank Adaptation of Large Language Models", Hu et al., 2021, arXiv 2106.09685, through peft. What
is saved is an ordinary encoder: the products are added to the matrices.
"""

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from textrip.errors import MissingDependencyError
from textrip.training.shaping import transformers_of

if TYPE_CHECKING:
    from peft.tuners.lora import LoraLayer

_BASE, _OWN = ".base_layer.", ".lora_"


def add_adapters(model: nn.Module, rank: int, *, seed: int) -> None:
    """Give every linear layer of the transformer an adapter, and freeze the rest.

    Scaled by alpha / rank = 2, the usual choice; no dropout. An adapter starts at 0, so that the vectors
    are the base's.

    Args:
        model: A sentence-transformers model; changed in place.
        rank: Of the products.
        seed: For one of the two thin matrices; the other is 0.

    Raises:
        MissingDependencyError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise MissingDependencyError("peft", purpose="lora_rank", extra="lora") from None
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    for parameter in model.parameters():
        parameter.requires_grad = False
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for module in _outermost(model):
            inject_adapter_in_model(config, module)


def fold_adapters(model: nn.Module) -> None:
    """Add every adapter to its matrix and take it out: the model is an ordinary one again."""
    for parent, name, layer in _adapters(model):
        layer.merge()
        setattr(parent, name, layer.get_base_layer())
    for parameter in model.parameters():
        parameter.requires_grad = True


def without_adapters(model: nn.Module) -> nn.Module:
    """The model itself where it has no adapters; else a copy whose adapters are folded."""
    if not _adapters(model):
        return model
    # A forward that is compiled, or wrapped in autocast, belongs to the run and not to the copy.
    memo = {id(value): None for module in model.modules() if (value := vars(module).get("forward"))}
    plain = copy.deepcopy(model, memo)
    for module in plain.modules():
        vars(module).pop("forward", None)
    fold_adapters(plain)
    return plain


def load_plain(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Load the weights of an ordinary model; adapters that are there start anew at 0."""
    target = model.state_dict()
    places = {name.replace(_BASE, "."): name for name in target if _OWN not in name}
    anew = {name: value * 0 for name, value in target.items() if ".lora_B." in name}
    kept = {name: value for name, value in target.items() if ".lora_A." in name}
    model.load_state_dict({**kept, **anew, **{places[name]: value for name, value in state.items()}})


def _outermost(model: nn.Module) -> list[nn.Module]:
    """The transformers that are in no other one: T5's encoder has another within, which is reached by it."""
    found = transformers_of(model)
    within = {inner for outer in found for inner in outer.modules() if inner is not outer}
    return [module for module in found if module not in within]


def _adapters(model: nn.Module) -> "list[tuple[nn.Module, str, LoraLayer]]":
    """Every adapter with its parent and its name there."""
    found: list[Any] = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if hasattr(child, "lora_A")
    ]
    return found
