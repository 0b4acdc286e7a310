#!/bin/bash
#BSUB -J "mismatch_experiment-123abc[1-20]"
#BSUB -W 24:00
#BSUB -n 16
#BSUB -R "span[hosts=1] rusage[mem=4096MB]"
#BSUB -o "/home/me/project/store/campaigns/mismatch_experiment-123abc/logs/%I.txt"
#BSUB -wt 0:10 -wa USR2
#BSUB -Q "85"

trap 'export DATAJUICER_WARNED=1' USR1 USR2
export OMP_NUM_THREADS=16 OPENBLAS_NUM_THREADS=16 MKL_NUM_THREADS=16 NUMEXPR_NUM_THREADS=16 VECLIB_MAXIMUM_THREADS=16
export PYTHONPATH=/home/me/project"${PYTHONPATH:+:$PYTHONPATH}"
if ! [ -r /home/me/project/store/campaigns/mismatch_experiment-123abc/plan.json ]; then
    echo "$(hostname) cannot read /home/me/project/store/campaigns/mismatch_experiment-123abc: keep the store where all nodes see it" >&2
    exit 86
fi
trap '' USR1 USR2
exec python -P -c 'import signal; signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1, signal.SIGUSR2)); from datajuicer.clusters.element import run; run()' /home/me/project/store/campaigns/mismatch_experiment-123abc DIGEST
