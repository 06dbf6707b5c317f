"""Write the hashes of the bundled weights into ``models/manifest.toml``: ``python -m shaded.training.pin``."""

from __future__ import annotations

import hashlib

from safetensors import safe_open

from shaded.models.bundle import models_folder

ROLES = {
    "autoencoder-trial": ("autoencoder of the poison trial", "Apache-2.0"),
    "lpips-alexnet": ("perceptual metric", "BSD-3-Clause"),
    "meter-flux2": ("meter", "Apache-2.0"),
    "meter-sana": ("meter", "Apache-2.0"),
    "student-flux2": ("surrogate", "Apache-2.0"),
    "student-sana": ("surrogate", "Apache-2.0"),
}


def manifest() -> str:
    """The manifest's text for the weights as they lie in the package now."""
    parts = ["# Written by `python -m shaded.training.pin`; a test holds it to the files.\n"]
    for name, (role, licence) in sorted(ROLES.items()):
        path = models_folder() / f"{name}.safetensors"
        with safe_open(path, framework="numpy") as weights:
            revision = (weights.metadata() or {}).get("revision", "1")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        parts.append(
            f'\n[{name}]\nrevision = "{revision}"\nsha256 = "{digest}"\nrole = "{role}"\nlicence = "{licence}"\n'
        )
    return "".join(parts)


if __name__ == "__main__":
    (models_folder() / "manifest.toml").write_text(manifest(), "utf-8")
