#!/usr/bin/env bash
# The manifests of `regmix launch kubernetes`, compared with the schema of Kubernetes.
#
#   ci/kubernetes.sh [target/release/regmix]
#
# The schemas come with PyPI's kubernetes-validate, which is installed into a temporary
# folder. Without pip or a network it prints that it is skipped and succeeds.
set -euo pipefail
cd "$(dirname "$0")/.."
regmix=$(realpath "${1:-target/release/regmix}")
skip() {
    echo "SKIPPED: manifests for Kubernetes: $1"
    exit 0
}
command -v python3 >/dev/null || skip "there is no Python"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/python" >/dev/null 2>&1 || skip "Python cannot make environments"
"$dir/python/bin/pip" -q install kubernetes-validate >/dev/null 2>&1 ||
    skip "pip cannot install kubernetes-validate"

study() {
    mkdir "$dir/$1"
    printf '[corpus]\npath = "text"\n[launch.kubernetes]\n%s\n' "$2" >"$dir/$1/study.toml"
}
study least 'image = "registry.example/regmix:1"
claim = "studies"'
study most 'image = "registry.example/regmix@sha256:0123"
claim = "studies"
mount = "/data"
study = "/data/my study"
namespace = "ml"
workers = 12
at_once = 6
cpus = 1.5
memory = "8Gi"
gpus = 1
gpu_resource = "nvidia.com/mig-1g.10gb"
backoff_limit_per_index = 2
max_failed_indexes = 3
grace_period = 60
queue = "team-a"
service_account = "trainer"
pull_secrets = ["registry"]
node_selector = { "cloud.example/pool" = "gpu", spot = "true" }
tolerations = [{ key = "nvidia.com/gpu", operator = "Exists", effect = "NoSchedule" },
    { key = "spot", operator = "Equal", value = "yes" }]
wait = false'
# podFailurePolicy and backoffLimitPerIndex are there from 1.29 on.
for study in least most; do
    "$regmix" -C "$dir/$study" launch kubernetes --dry-run -- --device cuda >"$dir/$study.yaml"
    for version in 1.29 1.31 1.33; do
        "$dir/python/bin/kubernetes-validate" -k "$version" --strict "$dir/$study.yaml"
    done
done
# The check must be able to fail.
sed 's/completionMode: Indexed/completionMode: 7/' "$dir/least.yaml" >"$dir/wrong.yaml"
if "$dir/python/bin/kubernetes-validate" -k 1.31 --strict "$dir/wrong.yaml" >/dev/null 2>&1; then
    echo "FAILED: a wrong manifest was taken" >&2
    exit 1
fi
