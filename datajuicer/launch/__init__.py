"""Where computations run.

On this machine: worker processes (`local`, `worker`). Anything else that is a `concurrent.futures.Executor`
works too; `dask_cluster` makes one of Dask.

On a cluster, without a process that has to stay alive: array jobs of `lsf` and `slurm`, described in a
`campaign`, sent by `submission`, carried out by `element`, watched by `survey`.
"""
