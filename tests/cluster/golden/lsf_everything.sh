#!/bin/bash -l
#BSUB -J "mismatch_experiment-123abc[1-20]%8"
#BSUB -W 4:00
#BSUB -n 4
#BSUB -R "span[hosts=1] rusage[mem=8192MB]"
#BSUB -o "/home/me/project/store/campaigns/mismatch_experiment-123abc/logs/%I.txt"
#BSUB -wt 0:15 -wa USR2
#BSUB -Q "85"
#BSUB -L /bin/bash
#BSUB -gpu "num=2"
#BSUB -q gpu.4h
#BSUB -P snn
#BSUB --exclusive

trap 'export DATAJUICER_WARNED=1' USR1 USR2
{
    module load cuda/12.4
} || { echo "$(hostname): this command of set_up failed:" 'module load cuda/12.4' >&2; exit 87; }
{
    export JAX_PLATFORMS=cuda
} || { echo "$(hostname): this command of set_up failed:" 'export JAX_PLATFORMS=cuda' >&2; exit 87; }
export OMP_NUM_THREADS=4 OPENBLAS_NUM_THREADS=4 MKL_NUM_THREADS=4 NUMEXPR_NUM_THREADS=4 VECLIB_MAXIMUM_THREADS=4
export PYTHONPATH=/home/me/project"${PYTHONPATH:+:$PYTHONPATH}"
if ! [ -r /home/me/project/store/campaigns/mismatch_experiment-123abc/plan.json ]; then
    echo "$(hostname) cannot read /home/me/project/store/campaigns/mismatch_experiment-123abc: keep the store where all nodes see it" >&2
    exit 86
fi
trap '' USR1 USR2
exec python -P -c 'import signal; signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1, signal.SIGUSR2)); from datajuicer.clusters.element import run; run()' /home/me/project/store/campaigns/mismatch_experiment-123abc DIGEST
