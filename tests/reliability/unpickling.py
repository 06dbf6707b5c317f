"""Finds, in a module's text, every way of reading data that can run code: by name, however that was imported.

:func:`dangers` follows imports under other names, names given to functions, and ``getattr`` with a constant. It does
not follow what is computed while the program runs; so a module whose name is computed is a danger itself.
"""

from __future__ import annotations

import ast

#: Modules that build whatever objects the data name.
MODULES = {
    "pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "hickle",
    "pandas.compat.pickle_compat", "torch.package", "numpy.ma.mrecords",
}  # fmt: skip
#: Functions that are dangerous however they are called.
ALWAYS = {
    "eval", "exec", "builtins.eval", "builtins.exec",
    "pandas.read_pickle", "pandas.read_hdf", "pandas.io.pickle.read_pickle",
    "yaml.unsafe_load", "yaml.unsafe_load_all", "yaml.full_load", "yaml.full_load_all",
    "yaml.Loader", "yaml.UnsafeLoader", "yaml.FullLoader", "yaml.CLoader",
    "torch.jit.load", "torch.hub.load", "torch.export.load", "torch.package.PackageImporter",
    "ray.cloudpickle.loads", "ray.cloudpickle.load",
}  # fmt: skip
#: Functions that are safe with this keyword, spelt out; by name of the function, or by its last part.
ONLY_WITH = {
    "torch.load": ("weights_only", "True"),
    "torch.serialization.load": ("weights_only", "True"),
    "torch.hub.load_state_dict_from_url": ("weights_only", "True"),
    "torch.utils.model_zoo.load_url": ("weights_only", "True"),
    "yaml.load": ("Loader", "yaml.SafeLoader"),
    "yaml.load_all": ("Loader", "yaml.SafeLoader"),
    "*.from_pretrained": ("use_safetensors", "True"),
    "*.from_single_file": ("use_safetensors", "True"),
}
#: Functions that are safe unless told otherwise, and after how many positional arguments they could be.
UNLESS = {
    "numpy.load": 2, "numpy.lib.npyio.load": 2, "numpy.lib._npyio_impl.load": 2, "numpy.lib.npyio.NpzFile": 2,
    "numpy.lib.format.read_array": 1, "numpy.lib.format.open_memmap": 9, "numpy.DataSource": 9,
}  # fmt: skip
#: What imports a module by a name that may be computed.
IMPORTERS = {"importlib.import_module", "__import__", "builtins.__import__", "runpy.run_module"}


def dangers(text):
    """What in a module's text can run code that data bring along, one sentence each."""
    tree = ast.parse(text)
    names = dict(_imported(tree))
    for node in ast.walk(tree):  # a second name for a function
        if isinstance(node, ast.Assign) and (meant := _meant(node.value, names)):
            names |= {target.id: meant for target in node.targets if isinstance(target, ast.Name)}
    found = [f"line {line}: imports {module}" for line, module in _modules(tree) if _is_pickling(module)]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    call_of = {id(call.func): call for call in calls}
    for call in calls:
        found += _told(call)
    for node in ast.walk(tree):
        read = isinstance(getattr(node, "ctx", None), ast.Load) or isinstance(node, ast.Call)
        why = _why(_meant(node, names), call_of.get(id(node)), names) if read else ""
        if why:
            found.append(f"line {node.lineno}: {why}")
    return found


def _imported(tree):
    """What each imported name means."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module or ''}.{alias.name}"


def _modules(tree):
    """Every module that is imported, and from which line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _is_pickling(module):
    parts = module.split(".")
    return any(".".join(parts[:count]) in MODULES for count in range(1, len(parts) + 1))


def _meant(node, names):
    """The whole name of what an expression means; empty where it is not a name."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        above = _meant(node.value, names)
        return f"{above}.{node.attr}" if above else f"*.{node.attr}"
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr" and len(node.args) > 1:
        above, attribute = _meant(node.args[0], names), node.args[1]
        return f"{above}.{attribute.value}" if above and isinstance(attribute, ast.Constant) else ""
    return ""


def _why(meant, call, names):
    """Why a function must not be used in this way; empty where it may. Without a call it is handed on to somewhere."""
    wanted = ONLY_WITH.get(meant) or ONLY_WITH.get(f"*.{meant.rpartition('.')[2]}" if "." in meant else "")
    why = ""
    if meant in ALWAYS or ("." in meant and _is_pickling(meant)):
        why = f"{meant} can run code"
    elif wanted and not (call and _is_given(call, *wanted, names)):
        why = f"{meant} without {'='.join(wanted)}"
    elif meant in UNLESS and not (call and len(call.args) <= UNLESS[meant] and all(k.arg for k in call.keywords)):
        why = f"{meant} may be told to unpickle"
    elif meant in IMPORTERS:
        named = call.args[0].value if call and call.args and isinstance(call.args[0], ast.Constant) else None
        if named is None or _is_pickling(str(named)):
            why = f"{meant} of {named or 'a name that is computed'}"
    return why


def _is_given(call, keyword, value, names):
    given = [each.value for each in call.keywords if each.arg == keyword]
    return any(ast.unparse(each) == value or _meant(each, names) == value for each in given)


def _told(call):
    """Anything that is told to unpickle, whatever it is."""
    for keyword in call.keywords:
        if keyword.arg == "allow_pickle" and not (
            isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        ):
            yield f"line {call.lineno}: allow_pickle={ast.unparse(keyword.value)}"
