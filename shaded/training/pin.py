"""Write the hashes of the bundled weights into ``models/manifest.toml``: ``python -m shaded.training.pin``."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors import safe_open

from shaded.models.bundle import models_folder

#: Of every weight file whose name begins so, the role and the licence.
_KINDS = {
    "autoencoder-trial": ("autoencoder of the poison trial", "Apache-2.0"),
    "lpips": ("perceptual metric", "BSD-3-Clause"),
    "meter": ("meter", "Apache-2.0"),
    "student": ("surrogate", "Apache-2.0"),
}


def manifest(folder: Path) -> str:
    """The manifest's text for the weights as they lie in the folder now.

    Raises:
        ValueError: A file is of no known kind.
    """
    parts = ["# Written by `python -m shaded.training.pin`; a test holds it to the files.\n"]
    for path in sorted(folder.glob("*.safetensors")):
        kind = next((kind for kind in _KINDS if path.stem.startswith(kind)), None)
        if kind is None:
            raise ValueError(f"{path.name} is no kind of model that the package knows ({', '.join(_KINDS)})")
        role, licence = _KINDS[kind]
        with safe_open(path, framework="numpy") as weights:
            revision = (weights.metadata() or {}).get("revision", "1")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        parts.append(
            f'\n[{path.stem}]\nrevision = "{revision}"\nsha256 = "{digest}"\nrole = "{role}"\nlicence = "{licence}"\n'
        )
    return "".join(parts)


if __name__ == "__main__":
    (models_folder() / "manifest.toml").write_text(manifest(models_folder()), "utf-8")
