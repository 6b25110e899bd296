"""The self-check's verdict on a model and its noise floor, kept in the user's cache folder.

The self-check takes half of a language model's loading time. Its verdict depends on the stored
weights, the config, the dtype, the device and the source code: `_key` contains them all, so a
change in any of them triggers a new check. Refusals (ModelError) are never cached.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.results.atomic import write_atomic
from interp.results.cache import cache_folder
from interp.results.versions import installed_versions

if TYPE_CHECKING:
    from interp.models.model import Model

_VERSION = 1  # of the cache file
_PACKAGES = ("arithmoscope", "torch", "transformer-lens", "transformers")
_CODE = (Path(__file__).parent, Path(__file__).parents[1] / "models")


def unusable_sites(model: Model) -> dict[str, str]:
    """Unusable sites with the reason, from the cache or a new self-check.

    Wrapped modules, and models without a file's weight hash, are checked each time. A missing,
    damaged or unwritable cache costs only time.

    Raises ModelError as `selfcheck` does.
    """
    if model.wrapped or not model.hash:
        return _checked(model)
    key = _key(model)
    path = _place(key)
    kept = _read(path, key, model.adapter.sites)
    if kept is not None:
        return kept
    found = _checked(model)
    # No room, no permission, another process's folder: the next load takes as long as this one.
    with suppress(OSError):
        write_atomic(path, json.dumps({"key": key, "unusable": found}, indent=1).encode())
    return found


def noise_floor(model: Model) -> float | None:
    """Noise floor of a 16-bit model (`interp.engine.noise`), from the cache or measured; None for
    other models."""
    if model.dtype.itemsize >= 4:
        return None
    from interp.engine.noise import measured_floor

    if model.adapter.whole or not model.hash:
        return measured_floor(model)
    key = _key(model) | {"measured": "noise floor", "sites": list(model.usable_sites)}
    path = _place(key)
    with suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["key"] == key:
            return float(kept["floor"])
    floor = measured_floor(model)
    with suppress(OSError):
        write_atomic(path, json.dumps({"key": key, "floor": floor}, indent=1).encode())
    return floor


def _checked(model: Model) -> dict[str, str]:
    from interp.engine._selfcheck import selfcheck

    sites = selfcheck(model).sites
    return {str(row.site): str(row.reason) for row in sites.itertuples() if not row.usable}


def _key(model: Model) -> dict[str, Any]:
    """Cache key: everything a verdict depends on, as JSON values."""
    versions = installed_versions()
    module: Any = model.adapter.module
    config = json.dumps(module.config.to_dict(), sort_keys=True, default=str)
    return {
        "version": _VERSION,
        "weights": model.hash,
        "config": hashlib.sha256(config.encode()).hexdigest(),
        "dtype": str(model.dtype),
        "device": _device(model),
        "packages": {name: versions.get(name, "") for name in _PACKAGES},
        "code": _code(),
    }


def _device(model: Model) -> str:
    if model.device.type != "cuda":
        return str(model.device)
    import torch

    return f"{model.device} {torch.cuda.get_device_name(model.device)}"


@cache
def _code() -> str:
    """SHA-256 of the engine's and the adapters' source: a checkout changes between releases."""
    digest = hashlib.sha256()
    for folder in _CODE:
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _place(key: Mapping[str, Any]) -> Path:
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    return cache_folder() / "selfcheck" / f"{name}.json"


def _read(path: Path, key: Mapping[str, Any], sites: tuple[str, ...]) -> dict[str, str] | None:
    """The verdict in a file; None if it is missing, damaged or has another key."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        unusable = kept["unusable"]
        sound = kept["key"] == key and set(unusable) <= set(sites)
        return {str(site): str(reason) for site, reason in unusable.items()} if sound else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
