"""Several processes on one batch: each encodes its share of the texts, all see all vectors.

Every process has the whole batch, so that all of them compute the same loss; what is shared is the encoding,
which is all that costs. The gradient of a process's own vectors reaches the weights, and DDP averages over
processes: the sum is that of one process with the whole batch.
"""

import os
import warnings
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from textrip import processes
from textrip.interrupt import by_the_system
from textrip.progress import say
from textrip.training.cache import Features

T = TypeVar("T")

# The others wait while the first one measures dev.
TIMEOUT = timedelta(hours=2)


def begin(device: str) -> None:
    """Join the other processes, where there are any (`processes.require_launched` has looked)."""
    if processes.count() > 1 and not dist.is_initialized():
        # accelerate hands DDP an option under its former name.
        warnings.filterwarnings("ignore", message="`broadcast_buffers`", category=FutureWarning)
        if device.startswith("cuda"):
            torch.cuda.set_device(processes.local_rank())
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        say(f"joining {processes.count()} processes at {where}")
        with by_the_system():  # it waits for them in compiled code, where no handler of Python's is called
            dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=TIMEOUT)


def wait() -> None:
    """Until every process is here."""
    if processes.count() > 1:
        dist.barrier()


def agreed(value: T) -> T:
    """What the first process says, in every one."""
    if processes.count() == 1:
        return value
    said: list[Any] = [value]
    dist.broadcast_object_list(said, src=0)
    return said[0]  # type: ignore[no-any-return]


def same_weights(model: nn.Module) -> None:
    """Give every process the first one's weights."""
    if processes.count() > 1:
        for tensor in model.state_dict().values():
            dist.broadcast(tensor, src=0)


def encode_together(model: nn.Module, buckets: list[Features]) -> Tensor:
    """The texts of all buckets, each process encoding its share: (n, d) float32, the same everywhere.

    The gradient of the share is multiplied by the number of processes: DDP will divide by it.
    """
    world, rank = processes.count(), processes.rank()
    sizes = [len(bucket["input_ids"]) for bucket in buckets]
    shares = [-(-size // world) for size in sizes]
    parts = []
    for bucket, size, share in zip(buckets, sizes, shares, strict=True):
        # Every process takes equally many; the last text fills up, and its copies are dropped below.
        mine = (torch.arange(share) * world + rank).clamp(max=size - 1)
        parts.append(model(_rows(bucket, mine, size))["sentence_embedding"].float())
    own = torch.cat(parts)
    if own.requires_grad:
        own.register_hook(lambda gradient: gradient * world)
    everyone = [torch.empty_like(own) for _ in range(world)]
    dist.all_gather(everyone, own.detach().contiguous())
    everyone[rank] = own
    split = [part.split(shares) for part in everyone]  # by process, then by bucket
    return torch.cat([
        torch.stack([split[process][place] for process in range(world)], dim=1).flatten(0, 1)[:size]
        for place, size in enumerate(sizes)
    ])  # fmt: skip


def _rows(bucket: Features, rows: Tensor, size: int) -> Features:
    return {
        name: value[rows.to(value.device)] if isinstance(value, Tensor) and len(value) == size else value
        for name, value in bucket.items()
    }
