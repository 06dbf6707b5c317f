"""A stand-in for the ledger's record of published names, in memory."""

from __future__ import annotations

from dataclasses import replace


class Names:
    """Who put what where; :meth:`of` gives one source's view."""

    def __init__(self):
        self.rows = []

    def of(self, source="fox"):
        return _View(self, source)


class _View:
    def __init__(self, names, source):
        self._names, self._source = names, source

    def earlier(self):
        return [copy for source, copy in reversed(self._names.rows) if source == self._source]

    def is_taken(self, path):
        return any(copy.path == path for source, copy in self._names.rows if source != self._source)

    def intend(self, copy):
        token = f"{len(self._names.rows):016x}"
        self._names.rows.append((self._source, replace(copy, token=token)))
        return token
