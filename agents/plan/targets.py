"""Devices that programs are compiled for without having one."""

from __future__ import annotations

import dataclasses
import os
import re
from typing import Any

from agents.plan.model import Rates


class TargetError(ValueError):
    """A target that cannot be compiled for; the message addresses the user."""


@dataclasses.dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU, by the numbers of its maker's data sheet and of the CUDA programming guide."""

    description: str
    memory: int  # B
    bandwidth: float  # B/s
    capability: tuple[int, int]
    cores: int  # streaming multiprocessors
    clock: float  # GHz
    l2_cache: int  # B
    shared_memory: int  # B of a multiprocessor; a block may use 1 kB less
    threads: int = 2048  # of a multiprocessor
    fpus: int = 128  # of a multiprocessor

    def textproto(self) -> str:
        """Description as XLA reads it, a `GpuTargetConfigProto`."""
        device = {
            "threads_per_block_limit": 1024,
            "threads_per_warp": 32,
            "shared_memory_per_block": 49_152,
            "shared_memory_per_core": self.shared_memory,
            "threads_per_core_limit": self.threads,
            "core_count": self.cores,
            "fpus_per_core": self.fpus,
            "block_dim_limit_x": 2**31 - 1,
            "block_dim_limit_y": 65_535,
            "block_dim_limit_z": 65_535,
            "memory_bandwidth": int(self.bandwidth),
            "l2_cache_size": self.l2_cache,
            "clock_rate_ghz": self.clock,
            "device_memory_size": self.memory,
            "shared_memory_per_block_optin": self.shared_memory - 1024,
            "registers_per_core_limit": 65_536,
            "registers_per_block_limit": 65_536,
        }
        numbers = "\n".join(f"  {name}: {value}" for name, value in device.items())
        major, minor = self.capability
        return (
            f"gpu_device_info {{\n{numbers}\n"
            f"  cuda_compute_capability {{ major: {major} minor: {minor} }}\n}}\n"
            f'platform_name: "CUDA"\ndnn_version_info {{ major: 9 minor: 1 patch: 1 }}\n'
            f'device_description_str: "{self.description}"\n'
        )


GIB = 2**30
MIB = 2**20
GPUS = {
    "a100": Gpu("NVIDIA A100-SXM4-80GB", 80 * GIB, 2.039e12, (8, 0), 108, 1.41, 40 * MIB, 167_936, fpus=64),
    "h100": Gpu("NVIDIA H100 80GB HBM3", 80 * GIB, 3.35e12, (9, 0), 132, 1.98, 50 * MIB, 233_472),
    "h200": Gpu("NVIDIA H200", 141 * 10**9, 4.8e12, (9, 0), 132, 1.98, 50 * MIB, 233_472),
}
# Memory [B] and bandwidth [B/s] of one chip; of v2 and v3, whose chips have two devices, there is no model.
TPUS = {
    "v4": (32 * GIB, 1.2e12),
    "v5e": (16 * GIB, 8.19e11),
    "v5p": (95 * GIB, 2.765e12),
    "v6e": (32 * GIB, 1.64e12),
}
CPU_RATES = Rates(bandwidth=2e10, launch=1e-6, latency=1e-7)
KNOWN = (*GPUS, *(f"{name}:2x2" for name in TPUS), "cpu")


@dataclasses.dataclass(frozen=True)
class Target:
    """A device to compile for.

    Attributes:
      platform: `"cuda"`, `"tpu"` or `"cpu"`.
      device: device of a topology that need not exist here.
      memory: its memory [B]; None if it is not known.
      rates: its speed, for the model.
      options: options of XLA's compiler.
    """

    name: str
    platform: str
    device: Any
    memory: int | None
    rates: Rates
    options: dict[str, Any]


def find_target(name: str) -> Target:
    """Makes the target of a name: `KNOWN`, where the grid of a TPU's chips may be another one.

    Raises:
      TargetError: an unknown name, or a plugin of JAX that is not installed.
    """
    import jax

    if name == "cpu":
        return Target(name, "cpu", jax.devices("cpu")[0], None, CPU_RATES, {})
    if name in GPUS:
        os.environ["JAX_SKIP_CUDA_CONSTRAINTS_CHECK"] = "1"  # no driver is needed to compile
        gpu = GPUS[name]
        device = _topology(name, "", "cuda", target_config=gpu.textproto(), topology="1x1x1")
        # Without a device there is nothing on which XLA could try its Triton kernels.
        options = {"xla_gpu_enable_triton_gemm": False}
        rates = Rates(gpu.bandwidth, launch=2.5e-6, latency=1e-6)
        return Target(name, "cuda", device, gpu.memory, rates, options)
    generation, _, grid = name.partition(":")
    if generation in TPUS and re.fullmatch(r"\d+x\d+(x\d+)?", grid):
        os.environ["TPU_SKIP_MDS_QUERY"] = "1"  # no question to a cloud's server
        memory, bandwidth = TPUS[generation]
        device = _topology(name, name, "tpu")
        return Target(name, "tpu", device, memory, Rates(bandwidth, launch=0.0, latency=1e-6), {})
    raise TargetError(f"there is no target {name!r}; known: {', '.join(KNOWN)}")


def _topology(name: str, topology_name: str, platform: str, **options: Any) -> Any:
    """The first device of a topology.

    Raises:
      TargetError: the plugin is missing, or refuses the topology.
    """
    from jax.experimental import topologies

    extra = {"cuda": "jax[cuda13]", "tpu": "jax[tpu]"}[platform]
    try:
        return topologies.get_topology_desc(topology_name, platform=platform, **options).devices[0]
    except Exception as error:  # the plugins raise errors of many types; each is told in full
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        raise TargetError(
            f"target {name!r} needs JAX's plugin for it: pip install '{extra}' (no device is needed); "
            f"JAX said: {text}"
        ) from None
