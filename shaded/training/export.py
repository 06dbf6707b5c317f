"""Write the averaged weights of a checkpoint into the package.

    python -m shaded.training.export --checkpoint run/checkpoint.pt --revision 1 [--only NAME...]

Run `python -m shaded.training.pin` afterwards: the package checks its weights' hashes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from shaded.training.rig import MODELS
from shaded.training.weights import recipe_hash, save_weights

__all__ = ["main"]


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--revision", required=True)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of the networks, as student-flux2; default: all")
    parser.add_argument("--target", type=Path, default=MODELS)
    options = parser.parse_args()
    saved = torch.load(options.checkpoint, weights_only=True)
    for name in options.only or saved["trained"]:
        metadata = {
            "name": name,
            "revision": options.revision,
            "licence": "Apache-2.0",
            "recipe": recipe_hash(),
            "steps": str(saved["steps"]),
        }
        save_weights(options.target / f"{name}.safetensors", saved["networks"][name]["average"], metadata)


if __name__ == "__main__":
    main()
