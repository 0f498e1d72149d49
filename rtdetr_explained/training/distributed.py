"""Several processes that train one model, as `torchrun` starts them: one per GPU, on one machine or many."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from rtdetr_explained.device import best_device, usable_device
from rtdetr_explained.errors import InputError

# The others wait while the first process evaluates; a process that died is noticed at once, not by this.
PATIENCE = timedelta(hours=1)


@dataclass(frozen=True)
class Processes:
    """This process among all: `rank` counts over all machines, `local_rank` on this one."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the one that logs, evaluates and saves."""
        return self.rank == 0

    def device(self, name: str) -> torch.device:
        """The device of this process: with several GPUs each takes its own. Raises InputError when it is not there."""
        name = best_device() if name == "auto" else name
        return usable_device(f"cuda:{self.local_rank}" if self.size > 1 and name == "cuda" else name)

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.size > 1:
            dist.barrier()


ALONE = Processes()


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Join the processes that `torchrun` started, for the time of the block; without it this process is alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    try:
        processes = Processes(int(os.environ["RANK"]), size, int(os.environ["LOCAL_RANK"]))
    except KeyError as error:
        raise InputError(
            f"WORLD_SIZE is set but {error.args[0]} is not; start several processes with torchrun."
        ) from None
    on_gpu = (best_device() if device == "auto" else device).startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(processes.device("cuda"))
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    yield processes
    dist.destroy_process_group()  # not after an error: it could wait for a process that is gone


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of a tensor over all processes; the tensor itself when there is only one. Without gradient."""
    if not dist.is_initialized():
        return values
    total = values.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def distribute(model: nn.Module, processes: Processes) -> nn.Module:
    """The module to run forward: the model itself, or a wrapper that averages gradients over all processes.

    Batch norms then use the statistics of all processes' images. Call `joined_norms` first.
    """
    if processes.size == 1:
        return model
    on_gpu = next(model.parameters()).is_cuda
    return DistributedDataParallel(model, device_ids=[processes.local_rank] if on_gpu else None)


def joined_norms(model: nn.Module, processes: Processes) -> nn.Module:
    """The model with batch norms that span all processes; names and values of its tensors stay."""
    if processes.size == 1:
        return model
    if next(model.parameters()).is_cuda:
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                joined_norm = JoinedBatchNorm2d(child.num_features, child.eps, child.momentum)
                joined_norm.load_state_dict(child.state_dict())
                for parameter, old in zip(joined_norm.parameters(), child.parameters(), strict=True):
                    parameter.requires_grad_(old.requires_grad)
                setattr(module, name, joined_norm)
    return model


class JoinedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the images of all processes, which hold equally many; torch's SyncBatchNorm needs GPUs."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise images (B, C, H, W)."""
        if not self.training:
            return super().forward(input)
        x = input.float()
        mean = _MeanOverProcesses.apply(x.mean((0, 2, 3)))  # C
        centred = x - mean[:, None, None]
        variance = _MeanOverProcesses.apply((centred**2).mean((0, 2, 3)))  # C
        count = x.numel() / x.shape[1] * dist.get_world_size()
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)


class _MeanOverProcesses(torch.autograd.Function):
    """`mean_over_processes` with a gradient, which is the mean of what every process wants of the result."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return mean_over_processes(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return mean_over_processes(gradients[0])


def is_lost_process(error: RuntimeError) -> bool:
    """Whether an error means that another process of the run is gone or cannot be reached."""
    return dist.is_initialized() and (isinstance(error, dist.DistError) or "gloo" in str(error).lower())
