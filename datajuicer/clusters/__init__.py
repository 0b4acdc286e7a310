"""Array jobs on LSF and SLURM, and Dask."""
