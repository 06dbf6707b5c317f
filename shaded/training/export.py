"""Write the averaged weights of a checkpoint into the package.

    python -m shaded.training.export --checkpoint run/checkpoint.pt --revision 1 [--only meter]

Run `python -m shaded.training.pin` afterwards: the package checks its weights' hashes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from shaded.training.rig import MODELS
from shaded.training.weights import recipe_hash, save_weights

__all__ = ["FILES", "main"]

#: A network of the checkpoint, and its file in the package.
FILES = {"flux2": "student-flux2", "sana": "student-sana", "meter-flux2": "meter-flux2", "meter-sana": "meter-sana"}


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--revision", required=True)
    parser.add_argument("--only", choices=tuple(FILES))
    parser.add_argument("--target", type=Path, default=MODELS)
    options = parser.parse_args()
    saved = torch.load(options.checkpoint, weights_only=True)
    for name in FILES if options.only is None else (options.only,):
        metadata = {
            "name": FILES[name],
            "revision": options.revision,
            "licence": "Apache-2.0",
            "recipe": recipe_hash(),
            "steps": str(saved["steps"]),
        }
        save_weights(options.target / f"{FILES[name]}.safetensors", saved["networks"][name]["average"], metadata)


if __name__ == "__main__":
    main()
