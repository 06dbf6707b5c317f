"""Bundled weights and their cards, the vocabulary, and the anchor gallery."""
