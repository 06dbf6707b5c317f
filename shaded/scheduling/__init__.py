"""Which jobs run together, in which process, and the way of one picture through it."""
