"""The pure, compiled decision core: bars in, decisions out. Imports numpy, numba, units and errors; nothing else."""
