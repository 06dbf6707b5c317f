"""What the settings are read from: files, variables, and the paths that people write; and how mistakes are told."""
