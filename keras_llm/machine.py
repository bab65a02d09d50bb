"""What this machine is and what is installed on it: for ``run.json`` and ``keras-llm doctor``."""

import ctypes
import gc
import importlib.metadata
import os
import platform
import re
from contextlib import suppress
from pathlib import Path

PACKAGES = ("keras_llm", "tensorflow", "keras", "keras-hub", "tensorflow-text", "numpy", "matplotlib", "scikit-learn")


def versions() -> dict[str, str]:
    """Package to version; a package that is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """The processor's own name, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_gb() -> float | None:
    """Main memory in GB (10⁹ bytes), None where the system does not tell it."""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)
    return None


def peak_memory_gb() -> float | None:
    """The most memory that this process has used so far, in GB; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if platform.system() == "Darwin" else 1024) / 1e9, 2)


class MemoryPeak:
    """The most memory that this process takes while a block runs, beyond what it had before; on Linux alone.

    Attributes:
        gb: how much more the process used at most in the block; None where the system does not tell it.

    Example:
        >>> with MemoryPeak() as peak:
        ...     work = [0] * 10_000_000
        >>> peak.gb is None or peak.gb > 0
        True
    """

    gb: float | None = None

    def __enter__(self) -> "MemoryPeak":
        gc.collect()  # a model of before may be held by nothing but itself
        with suppress(OSError, AttributeError):  # other C libraries have none
            ctypes.CDLL(None).malloc_trim(0)  # what was freed, but not given back, would not have to be taken
        with suppress(OSError):  # no such file on other systems; not to be written in some containers
            Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
        self.before = _status("VmRSS")
        return self

    def __exit__(self, *failure: object) -> None:
        if self.before is not None:
            self.gb = round(max(0.0, _status("VmHWM") - self.before), 2)


def _status(name: str) -> float | None:
    """A figure of this process in GB, as Linux tells it; None on other systems."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return None
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) * 1024 / 1e9


def description() -> dict[str, str | int | float | None]:
    """Processor, cores, memory and system, as ``run.json`` keeps them."""
    return {
        "processor": processor(),
        "cores": cores(),
        "memory_gb": memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
    }
