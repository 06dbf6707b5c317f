"""How the bundled models were made. Nothing here is imported at run time."""
