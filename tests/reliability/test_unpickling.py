"""No file that somebody else wrote can bring code along; and the check that says so sees what it is for."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import shaded
from shaded.models.bundle import bundled_models
from tests.reliability.unpickling import dangers

PACKAGE = Path(shaded.__file__).parent
#: A training script that reads one file from a pinned package, with a reader that builds arrays and nothing else.
ALLOWED = {"training/lpips_weights.py": 3}

DANGEROUS = [
    "import pickle",
    "import pickle as p\np.loads(data)",
    "from pickle import loads as harmless\nharmless(data)",
    "from _pickle import Unpickler",
    "import joblib\njoblib.load(path)",
    "import shelve\nshelve.open(path)",
    "import marshal\nmarshal.loads(data)",
    "def late():\n    import dill\n    return dill",
    "import importlib\nimportlib.import_module('pickle').loads(data)",
    "import importlib\nimportlib.import_module(name)",
    "__import__('pick' + 'le')",
    "import numpy as np\nnp.load(path, allow_pickle=True)",
    "import numpy as np\nnp.load(path, allow_pickle=trusted)",
    "import numpy as np\nnp.load(path, None, True)",
    "import numpy as np\nnp.load(path, **options)",
    "from numpy import load\nload(path, allow_pickle=1)",
    "import numpy\nread = numpy.load\nread(path, None, True)",
    "import functools, numpy\nfunctools.partial(numpy.load, allow_pickle=True)",
    "from numpy.lib import format\nformat.read_array(stream, True)",
    "reader.read(path, allow_pickle=True)",
    "import torch\ntorch.load(path)",
    "import torch\ntorch.load(path, weights_only=False)",
    "import torch\ntorch.load(path, weights_only=trusted)",
    "import torch as t\nt.load(path)",
    "from torch import load\nload(path)",
    "import torch\nfetch = torch.load\nfetch(path)",
    "import torch\ngetattr(torch, 'load')(path)",
    "import torch\nlist(map(torch.load, paths))",
    "import torch.serialization as s\ns.load(path)",
    "import torch\ntorch.jit.load(path)",
    "from torch.hub import load\nload(name)",
    "import torch\ntorch.hub.load_state_dict_from_url(url)",
    "import torch\ntorch.package.PackageImporter(path)",
    "import pandas as pd\npd.read_pickle(path)",
    "from pandas import read_pickle\nread_pickle(path)",
    "import yaml\nyaml.load(text)",
    "import yaml\nyaml.load(text, Loader=yaml.Loader)",
    "import yaml\nyaml.load(text, yaml.UnsafeLoader)",
    "import yaml\nyaml.unsafe_load(text)",
    "from yaml import full_load\nfull_load(text)",
    "eval(text)",
    "run = exec\nrun(text)",
    "Encoder.from_pretrained(name)",
    "open_encoder().from_pretrained(name, use_safetensors=None)",
]
HARMLESS = [
    "import numpy as np\nnp.load(path)",
    "import numpy as np\nnp.load(path, allow_pickle=False)",
    "import torch\ntorch.load(path, map_location='cpu', weights_only=True)",
    "import yaml\nyaml.safe_load(text)",
    "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
    "import yaml as y\ny.load(text, Loader=y.SafeLoader)",
    "import json\njson.load(stream)",
    "import tomllib\ntomllib.load(stream)",
    "model.eval()",
    "import importlib\nimportlib.import_module('json')",
    "Encoder.from_pretrained(name, use_safetensors=True)",
    "from safetensors.torch import load_file\nload_file(path)",
]


@pytest.mark.parametrize("text", DANGEROUS)
def test_the_check_sees_what_can_run_code(text):
    """Each way of reading pickles and the like is seen, under other names too."""
    assert dangers(text)


@pytest.mark.parametrize("text", HARMLESS)
def test_the_check_lets_pass_what_cannot(text):
    """What reads numbers and texts only is no danger."""
    assert dangers(text) == []


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_nothing_in_the_package_unpickles(path):
    """No module reads data that can run code, except one training script, whose reader builds arrays only."""
    found = dangers(path.read_text("utf-8"))
    assert len(found) == ALLOWED.get(path.relative_to(PACKAGE).as_posix(), 0), found


def test_the_lpips_metric_does_not_use_its_own_loader():
    """The lpips package would unpickle a file of its own; it is told not to load any."""
    tree = ast.parse((PACKAGE / "shading" / "perceptibility.py").read_text("utf-8"))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "lpips.LPIPS"]
    (constants,) = [{k.arg: k.value.value for k in n.keywords if isinstance(k.value, ast.Constant)} for n in calls]
    assert constants["pretrained"] is False


def test_every_bundled_weight_file_is_safetensors_with_a_pinned_hash():
    """Each file of weights in the package is listed with a SHA-256, and there is no other kind of weight file."""
    listed = {model.path.name for model in bundled_models().values()}
    assert all(len(model.sha256) == 64 for model in bundled_models().values())
    found = {path.name for path in PACKAGE.rglob("*.safetensors")}
    assert found == listed
    others = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".npy", ".npz", ".h5", ".onnx", ".joblib")
    assert [path for path in PACKAGE.rglob("*") if path.suffix in others] == []
