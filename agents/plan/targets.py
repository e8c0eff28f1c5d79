"""Devices that programs are compiled for without having one."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import re
from typing import Any

from agents.plan.model import Rates


class TargetError(ValueError):
    """A target that cannot be compiled for; the message addresses the user."""


@dataclasses.dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU, by the numbers of its data sheet and of the CUDA C++ programming guide, table 28."""

    description: str
    memory: int  # B
    bandwidth: float  # B/s
    capability: tuple[int, int]
    cores: int  # streaming multiprocessors
    clock: float  # GHz
    l2_cache: int  # B
    shared_memory: int  # B of a multiprocessor; a block may use 1 kB less
    threads: int  # of a multiprocessor
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
AMPERE, SMALL, HOPPER = (164 * 1024, 2048), (100 * 1024, 1536), (228 * 1024, 2048)
GPUS = {
    "a100": Gpu("NVIDIA A100-SXM4-80GB", 80 * GIB, 2.039e12, (8, 0), 108, 1.41, 40 * MIB, *AMPERE, fpus=64),
    "a100-40gb": Gpu(
        "NVIDIA A100-SXM4-40GB", 40 * GIB, 1.555e12, (8, 0), 108, 1.41, 40 * MIB, *AMPERE, fpus=64
    ),
    "h100": Gpu("NVIDIA H100 80GB HBM3", 80 * GIB, 3.35e12, (9, 0), 132, 1.98, 50 * MIB, *HOPPER),
    "h200": Gpu("NVIDIA H200", 141 * 10**9, 4.8e12, (9, 0), 132, 1.98, 50 * MIB, *HOPPER),
    "b200": Gpu("NVIDIA B200", 180 * 10**9, 7.7e12, (10, 0), 148, 1.965, 126 * MIB, *HOPPER),
    "a10g": Gpu("NVIDIA A10G", 24 * GIB, 6.0e11, (8, 6), 80, 1.71, 6 * MIB, *SMALL),
    "l4": Gpu("NVIDIA L4", 24 * GIB, 3.0e11, (8, 9), 58, 2.04, 48 * MIB, *SMALL),
    "l40s": Gpu("NVIDIA L40S", 48 * GIB, 8.64e11, (8, 9), 142, 2.52, 96 * MIB, *SMALL),
    "rtx3090": Gpu("NVIDIA GeForce RTX 3090", 24 * GIB, 9.36e11, (8, 6), 82, 1.695, 6 * MIB, *SMALL),
    "rtx4090": Gpu("NVIDIA GeForce RTX 4090", 24 * GIB, 1.008e12, (8, 9), 128, 2.52, 72 * MIB, *SMALL),
    "rtx5090": Gpu("NVIDIA GeForce RTX 5090", 32 * GIB, 1.792e12, (12, 0), 170, 2.41, 96 * MIB, *SMALL),
}
# Memory [B] and bandwidth [B/s] of one chip. There are none of v2 and v3, whose chips have two devices.
TPUS = {
    "v4": (32 * GIB, 1.2e12),
    "v5e": (16 * GIB, 8.19e11),
    "v5p": (95 * GIB, 2.765e12),
    "v6e": (32 * GIB, 1.64e12),
}
# Modules of JAX's plugins, and what to install for them.
PLUGINS = {
    "cuda": (("jax_cuda13_plugin", "jax_cuda12_plugin"), "jax[cuda13]"),
    "tpu": (("libtpu",), "jax[tpu]"),
}
# Answers that libtpu would otherwise ask a cloud's server for, or miss.
TPU_SETTINGS = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
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
        for variable, value in TPU_SETTINGS.items():
            os.environ.setdefault(variable, value)
        memory, bandwidth = TPUS[generation]
        device = _topology(name, name, "tpu")
        return Target(name, "tpu", device, memory, Rates(bandwidth, launch=0.0, latency=1e-6), {})
    asked = f"there is no target {name!r}" if name else "name a target, such as target=h100"
    raise TargetError(f"{asked}; known: {', '.join(KNOWN)}")


def _topology(name: str, topology_name: str, platform: str, **options: Any) -> Any:
    """The first device of a topology.

    Raises:
      TargetError: the plugin is missing, or refuses the topology.
    """
    from jax.experimental import topologies

    modules, package = PLUGINS[platform]
    if not any(map(importlib.util.find_spec, modules)):
        raise TargetError(
            f"target {name!r} needs JAX's plugin for it, though no device: pip install '{package}'"
        )
    # JAX makes NotImplementedError of a plugin's "unimplemented", and hands its other errors on as they are.
    try:
        return topologies.get_topology_desc(topology_name, platform=platform, **options).devices[0]
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise TargetError(f"JAX's plugin for target {name!r} refuses it: {error}") from error
