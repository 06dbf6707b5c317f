"""Reading and writing picture containers, publishing them atomically, and the sidecar beside each."""
