"""The engine: pure PyTorch, without files, clock or settings."""
