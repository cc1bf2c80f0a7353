"""What is done to an encoder while it is trained, and undone when it is saved: dropout, memory, speed."""

import importlib.util
import shutil
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn
from transformers import PreTrainedModel

from textrip.encoding.encoder import Encoder
from textrip.errors import InputError
from textrip.training.settings import TrainSettings


def as_trained(encoder: Encoder, settings: TrainSettings) -> Encoder:
    """The encoder with the length and the prompts of a training, from before its negatives are filtered.

    They become its model's own: what is saved has them.
    """
    prompts = {"query": settings.query_prompt, "document": settings.document_prompt}
    encoder.model.prompts |= {kind: prompt for kind, prompt in prompts.items() if prompt is not None}
    return Encoder(encoder.model, encoder.name, max_length_tokens=settings.max_length_tokens)


@contextmanager
def shaped(model: nn.Module, settings: TrainSettings) -> Iterator[None]:
    """Inside the block the model has the dropout, the compiler and the memory that a training asks for."""
    with ExitStack() as stack:
        stack.enter_context(own_configuration(model))
        if not settings.dropout:
            stack.enter_context(without_dropout(model))
        if settings.compile:
            stack.enter_context(compiled(model))
        if settings.gradient_checkpointing:
            stack.enter_context(checkpointed_activations(model))
        yield


@contextmanager
def own_configuration(model: nn.Module) -> Iterator[None]:
    """After the block the transformers' configurations are what they were before it.

    The library's trainer writes to them (use_cache), and saves not all that it wrote: an encoder in memory
    would be another than the same one read from its folder, to every index.
    """
    before = [(module.config, dict(vars(module.config))) for module in transformers_of(model)]
    try:
        yield
    finally:
        for config, values in before:
            vars(config).clear()
            vars(config).update(values)


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Every dropout of the model off inside the block, and as it was after it."""
    before = [
        (module, name, value)
        for module in model.modules()
        for name, value in vars(module).items()
        # Some attentions (T5's, ModernBERT's) have no module for it: they hand a share to a function.
        if isinstance(value, float) and (name == "p" if isinstance(module, nn.Dropout) else "drop" in name)
    ]
    try:
        for module, name, _ in before:
            setattr(module, name, 0.0)
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


@contextmanager
def checkpointed_activations(model: nn.Module) -> Iterator[None]:
    """Inside the block activations are computed again for the gradient, and not kept."""
    inner = transformers_of(model)
    with warnings.catch_warnings():
        # transformers renamed these methods to activation_checkpointing_*; the older name works in all of 5.
        warnings.filterwarnings("ignore", message=".*gradient_checkpointing", category=FutureWarning)
        for module in inner:
            # With use_reentrant a batch whose inputs need no gradient would get none at all.
            module.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        try:
            yield
        finally:
            for module in inner:
                module.gradient_checkpointing_disable()


def require_compiler(device: str) -> None:
    """Raise InputError where torch.compile has nothing to compile with, before any step is taken."""
    if device == "cpu" and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        raise InputError("compile needs a C++ compiler on a CPU, and none is installed; leave it out")
    if device.startswith("cuda") and importlib.util.find_spec("triton") is None:
        raise InputError("compile needs triton on CUDA, and it is not installed; leave it out")


@contextmanager
def compiled(model: nn.Module) -> Iterator[None]:
    """Inside the block the transformer runs compiled, for texts of any number and length.

    The transformer alone: what sentence-transformers does around it is Python and would break the graph. It
    calls `forward` by its name, so that Module.compile(), which replaces the call, would not be seen.
    """
    inner = transformers_of(model)
    for module in inner:
        module.forward = torch.compile(module.forward, dynamic=True)
    try:
        yield
    finally:
        for module in inner:
            del module.forward  # the class's own shows again


def transformers_of(model: nn.Module) -> list[PreTrainedModel]:
    """The transformers in a model, outer ones first."""
    return [module for module in model.modules() if isinstance(module, PreTrainedModel)]
