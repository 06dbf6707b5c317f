"""The poison trial: a small text-to-image model trained on shaded pictures, and what it then draws."""
