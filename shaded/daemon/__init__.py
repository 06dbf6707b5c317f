"""The daemon: assembles the parts, supervises them, answers signals and the control socket."""
