#!/usr/bin/env bash
# A small study as an array of four workers on a real Slurm, with accidents: one
# task is cancelled, the regmix of another gets SIGKILL, and the shell of a third the
# signal that Slurm sends before the limit of time. Every trajectory must be the same, to
# the bit, as that of a study that nothing disturbed, and the dependent jobs must
# finish the report.
#
#   ci/slurm.sh [target/release/regmix]
#
# Debian's slurm-wlm and munge are installed by apt where they are missing and this
# runs as root; otherwise it prints that it is skipped and succeeds. munged,
# slurmctld and slurmd run in a temporary folder, with a key, a socket and ports of
# their own, and are stopped at the end. Needs Python 3.
set -euo pipefail
cd "$(dirname "$0")/.."
regmix=$(realpath "${1:-target/release/regmix}")
SECONDS=0

skip() {
    echo "SKIPPED: workers on Slurm: $1"
    exit 0
}
fail() {
    echo "FAILED: $1" >&2
    for log in "$study"/launch/logs/*.log "$dir"/log/*.log; do
        [ ! -e "$log" ] || { echo "----- $log"; tail -n 25 "$log"; } >&2
    done
    exit 1
}

[ "$(id -u)" = 0 ] || skip "Slurm's programs are started as root"
command -v python3 >/dev/null || skip "there is no Python"
installed() {
    for program in munged slurmctld slurmd sbatch squeue scontrol scancel; do
        command -v "$program" >/dev/null || return 1
    done
}
if ! installed; then
    command -v apt-get >/dev/null || skip "Slurm is not installed, and there is no apt"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends slurm-wlm munge; } \
        >/dev/null 2>&1 || skip "apt cannot install slurm-wlm and munge"
    installed || skip "the packages slurm-wlm and munge hold other programs"
fi

dir=$(mktemp -d)
study="$dir/a study"
stop() {
    # After a failure tasks may still run, and would outlive the daemons.
    if [ "${SLURM_CONF:-}" = "$dir/slurm.conf" ] && [ -n "$(squeue -h 2>/dev/null)" ]; then
        timeout 10 scancel --user="$(id -un)" || true
        sleep 3
    fi
    for daemon in slurmd slurmctld munged; do
        [ ! -s "$dir/$daemon.pid" ] || kill "$(cat "$dir/$daemon.pid")" 2>/dev/null || true
    done
    # slurmd writes into its folder until its end.
    sleep 1
    rm -rf "$dir"
}
trap stop EXIT

# The daemons. munge wants a folder that others may enter, and a key that they may
# not read. Four cores are claimed whatever the machine has.
chmod 711 "$dir"
mkdir "$dir/state" "$dir/spool" "$dir/log"
head -c 1024 /dev/urandom >"$dir/munge.key"
chmod 400 "$dir/munge.key"
munged --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munged.pid" \
    --log-file="$dir/log/munged.log" --seed-file="$dir/munge.seed"
port=$((20000 + RANDOM % 10000))
host=$(hostname -s)
cat >"$dir/slurm.conf" <<CONF
ClusterName=regmix
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
MpiDefault=none
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=cpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$dir/slurm.conf
slurmctld
slurmd
for _ in $(seq 50); do
    [ "$(sinfo -h -o %t 2>/dev/null)" != idle ] || break
    sleep 0.2
done
[ "$(sinfo -h -o %t)" = idle ] || fail "the node does not come up: $(sinfo)"
echo "Slurm $(sinfo --version | cut -d' ' -f2) after $SECONDS s"

# The study, and a copy of it that nothing disturbs. Its folder has a blank.
python3 - "$study" <<'PYTHON'
import json, pathlib, random, sys
study = pathlib.Path(sys.argv[1])
words = {"code": "let mut match impl return else", "law": "court shall hereby party section",
         "web": "page link home news site about"}
random.seed(5)
for domain, text in words.items():
    file = study / "text" / "train" / f"{domain}-0.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = (f"{i} " + " ".join(random.choices(text.split(), k=12)) for i in range(200))
    file.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
model = """preset = "nano"
layers = 1
d_model = 32
heads = 2
d_ff = 64
context = 32
batch_size = 8
lr = 4e-3
eval_sequences = 4
checkpoint_every = 50
"""
(study / "study.toml").write_text(f"""[study]
name = "slurm"
[corpus]
path = "text"
valid_share = 0.2
[tokenizer]
kind = "bytes"
[design]
runs = 16
[proxy]
{model}steps = 600
evaluations = 12
[fit]
regressors = ["linear"]
folds = 3
[target]
{model}steps = 60
evaluations = 3
[check]
seeds = 2
[launch.slurm]
workers = 4
time = "10:00"
""")
PYTHON
"$regmix" -q -C "$study" tokenize >/dev/null
"$regmix" -q -C "$study" design >/dev/null
cp -a "$study" "$dir/whole"
for step in train fit optimize target report; do
    "$regmix" -q -C "$dir/whole" "$step" >/dev/null
done
echo "undisturbed after $SECONDS s"

# The same as an array, with what follows on it.
"$regmix" -C "$study" launch slurm --through report -- --device cpu --parallel 1 --stale-after 10s
train=$(squeue -h -o '%F %j' | awk '$2 ~ /-train$/ { print $1; exit }')
if "$regmix" -q -C "$study" launch slurm 2>"$dir/again"; then
    fail "a second launch is taken while the first is queued"
fi
grep -q "still queued or running" "$dir/again" || fail "another error: $(cat "$dir/again")"

# The process of a task.
worker() {
    local environ
    for environ in /proc/[0-9]*/environ; do
        local process=${environ%/environ}
        [ "$(readlink "$process/exe" 2>/dev/null)" = "$regmix" ] || continue
        if tr '\0' '\n' <"$environ" 2>/dev/null | grep -qx "SLURM_ARRAY_TASK_ID=$1"; then
            echo "${process#/proc/}"
            return
        fi
    done
}
trained() { find "$study/runs" -name DONE 2>/dev/null | wc -l; }
all_work() { [ "$(find "$study/runs" -name metrics.jsonl 2>/dev/null | wc -l)" -ge 4 ]; }
for _ in $(seq 300); do
    ! all_work || break
    sleep 0.1
done
all_work || fail "four workers do not train four runs"
scancel "${train}_1"
process=$(worker 2)
[ -n "$process" ] || fail "the worker of task 2 is not found"
kill -9 "$process"
scancel --batch --signal=TERM "${train}_3"
echo "task 1 cancelled, 2 killed, 3 asked to stop after $SECONDS s, with $(trained) of 16 runs done"
[ "$(trained)" -lt 16 ] || fail "everything was trained before the accidents"

requeued=
while [ -n "$(squeue -h)" ]; do
    [ "$SECONDS" -lt 280 ] || fail "jobs are left after $SECONDS s: $(squeue -r)"
    # Slurm keeps a requeued task for two minutes.
    for task in $(squeue -h -r -t PENDING -o '%i %r' | awk '$2 == "BeginTime" { print $1 }'); do
        requeued="$requeued $task"
        scontrol update JobId="$task" StartTime=now
    done
    sleep 0.5
done
echo "the queue is empty after $SECONDS s; requeued:$requeued"
[ "$requeued" = " ${train}_3" ] || fail "expected task 3 alone to be requeued, found:$requeued"
"$regmix" -C "$study" launch status
"$regmix" -C "$study" status
[ -s "$study/report.html" ] || fail "there is no report"

python3 - "$dir/whole" "$study" <<'PYTHON' || fail "the disturbed study differs"
import json, pathlib, sys
whole, study = map(pathlib.Path, sys.argv[1:])
differing = []
def content(path):
    # Seconds differ, and with them the checksum of a line.
    lines = path.read_text().splitlines()
    if path.name != "metrics.jsonl":
        return lines
    timed = {"seconds", "train_seconds", "eval_seconds", "eval_share", "checksum"}
    return [{k: v for k, v in json.loads(line).items() if k not in timed} for line in lines]
names = ["metrics.jsonl", "DONE", "trajectories.csv"]
files = [p for p in sorted(whole.rglob("*")) if p.name in names]
for path in files:
    other = study / path.relative_to(whole)
    if not other.exists() or content(path) != content(other):
        differing.append(str(path.relative_to(whole)))
print(f"{len(files)} files of runs compared, {len(differing)} differ", *differing)
sys.exit(bool(differing) or len(files) < 2 * 22 + 1)
PYTHON
echo "done after $SECONDS s"
