"""One question a file, asked of a whole model; each adds its problems to `Faults`."""
