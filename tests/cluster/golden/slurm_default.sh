#!/bin/bash
#SBATCH --job-name=mismatch_experiment-123abc
#SBATCH --array=1-20
#SBATCH --time=24:00:00
#SBATCH --nodes=1 --ntasks=1
#SBATCH --cpus-per-task=16
#SBATCH --mem-per-cpu=4096M
#SBATCH --output="/home/me/project/store/campaigns/mismatch_experiment-123abc/logs/%a.txt"
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@600

trap 'export DATAJUICER_WARNED=1' USR1 USR2
export OMP_NUM_THREADS=16 OPENBLAS_NUM_THREADS=16 MKL_NUM_THREADS=16 NUMEXPR_NUM_THREADS=16 VECLIB_MAXIMUM_THREADS=16
export PYTHONPATH=/home/me/project"${PYTHONPATH:+:$PYTHONPATH}"
if ! [ -r /home/me/project/store/campaigns/mismatch_experiment-123abc/plan.json ]; then
    echo "$(hostname) cannot read /home/me/project/store/campaigns/mismatch_experiment-123abc: keep the store where all nodes see it" >&2
    exit 86
fi
trap '' USR1 USR2
exec python -P -c 'import signal; signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1, signal.SIGUSR2)); from datajuicer.clusters.element import run; run()' /home/me/project/store/campaigns/mismatch_experiment-123abc DIGEST
