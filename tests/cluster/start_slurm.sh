#!/usr/bin/env bash
# Installs SLURM on this Debian machine if it is missing, and starts it as a cluster of one node.
# Ends with status 77 and one sentence where that cannot be done; the tests then skip.
set -euo pipefail

skip() { echo "SLURM cannot be tested here: $1"; exit 77; }

sinfo -h >/dev/null 2>&1 && { echo "SLURM answers already"; exit 0; }
[ "$(id -u)" = 0 ] || skip "it is started by root only"
if ! command -v slurmctld >/dev/null || ! command -v munged >/dev/null; then
    command -v apt-get >/dev/null || skip "it is not installed, and there is no apt-get"
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    (apt-get update && apt-get install -y --no-install-recommends slurm-wlm munge) >"$log" 2>&1 \
        || skip "apt-get could not install it (see $log)"
fi

# Never touch the configuration of a cluster that is only down at the moment.
mark="# Written by tests/cluster/start_slurm.sh"
configuration=/etc/slurm/slurm.conf
[ ! -e $configuration ] || grep -qxF "$mark" $configuration || skip "$configuration belongs to another cluster"

host=$(hostname -s)
cores=8  # more than there are, so that small jobs run side by side on a small machine
memory=$(awk '/MemTotal/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)
mkdir -p /etc/slurm /var/spool/slurm/ctld /var/spool/slurm/d /var/log/slurm /run/munge
cat >$configuration <<CONF
$mark
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
CredType=cred/munge
StateSaveLocation=/var/spool/slurm/ctld
SlurmdSpoolDir=/var/spool/slurm/d
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
KillWait=5
MinJobAge=300
InactiveLimit=0
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=$host MaxTime=INFINITE State=UP PriorityTier=10
CONF
[ -s /etc/munge/munge.key ] || { (umask 077; head -c 1024 /dev/urandom >/etc/munge/munge.key); }
chown -R munge:munge /etc/munge /run/munge
pgrep -x munged >/dev/null || su -s /bin/sh munge -c "munged" || skip "munged does not start"
pgrep -x slurmctld >/dev/null || slurmctld || skip "slurmctld does not start (see /var/log/slurm)"
pgrep -x slurmd >/dev/null || slurmd || skip "slurmd does not start (see /var/log/slurm)"
for _ in $(seq 60); do
    sinfo -h -o %t 2>/dev/null | grep -Eq '^(idle|mix|alloc)' && { echo "SLURM is up"; exit 0; }
    sleep 0.5
done
skip "its node does not come up (see /var/log/slurm)"
