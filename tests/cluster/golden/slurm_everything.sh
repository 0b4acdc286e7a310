#!/bin/bash -l
#SBATCH --job-name=mismatch_experiment-123abc
#SBATCH --array=1-20%8
#SBATCH --time=4:00:00
#SBATCH --nodes=1 --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=8192M
#SBATCH --output="/home/me/project/store/campaigns/mismatch_experiment-123abc/logs/%a.txt"
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@900
#SBATCH --gpus=2
#SBATCH --partition=gpu.4h
#SBATCH --account=snn
#SBATCH --exclusive

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
