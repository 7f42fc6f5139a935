//! Jobs that engines take, count, cancel or refuse.

use super::{Engines, KUBERNETES, assert_launch, filters};
use crate::fixture::Fixture;

#[test]
fn jobs_are_submitted_one_after_the_other_and_recorded() {
    let engines = Engines::new(&["sbatch", "squeue", "sacct", "scancel"]);
    let launched = engines.ok(&["launch", "slurm", "--through", "report"]);
    assert_launch!(launched, @r"
    $ regmix launch slurm --through report
    exit code: 0
    ----- stdout -----
    queued on slurm
    step    job  workers
    train   101        4
    fit     102        1
    target  103        4
    report  104        1
    ----- stderr -----
    next: regmix launch status
    ");
    assert_launch!(engines.calls(), @r"
    sbatch --parsable ./launch/train.sbatch
    sbatch --parsable --dependency=afterany:101 ./launch/fit.sbatch
    sbatch --parsable --dependency=afterany:102 ./launch/target.sbatch
    sbatch --parsable --dependency=afterany:103 ./launch/report.sbatch
    ");
    assert!(engines.fixture.path("launch/logs").is_dir());
    let campaign = engines.fixture.text("campaign.json");
    let nonce = campaign.split('"').nth(3).unwrap();
    let script = engines.fixture.text("launch/train.sbatch");
    assert!(
        script.contains(&format!("train --campaign {nonce} || code=$?\n")),
        "{script}"
    );

    // Two tasks of the workers run, one waits, and one is over.
    engines.prints(
        "squeue",
        "101|0|RUNNING|1:02|node1|None\n101|2|RUNNING|0:59|node2|None\n\
         101|3|PENDING|0:00||Resources\n102|N/A|PENDING|0:00||Dependency\n",
    );
    engines.prints(
        "sacct",
        "101_1|FAILED|2:0|00:00:07|node1\n101_0|RUNNING|0:0|00:01:02|node1\n",
    );
    assert_launch!(engines.ok(&["launch", "status"]).stdout, @r"
    step    job  workers  waiting  running  done  failed  ended
    train   101        4        1        2     0       1      0
    fit     102        1        1        0     0       0      0
    target  103        4        0        0     0       0      4
    report  104        1        0        0     0       0      1
    train 0 runs: on node1, for 1:02
    train 1 failed: on node1, for 00:00:07, FAILED, exit code 2:0
    train 2 runs: on node2, for 0:59
    train 3 waits: Resources
    fit waits: Dependency
    ended: the engine does not say how; `regmix status` shows the runs
    ");
    let json = engines.ok(&["--format", "json", "launch", "status"]).json();
    assert_eq!(json[0]["id"], "101");
    assert_eq!(json[0]["running"], 2);
    assert_eq!(json[0]["tasks"][3]["reason"], "Resources");

    let refused = engines.run(&["launch", "slurm"]);
    assert_launch!(refused, @r"
    $ regmix launch slurm
    exit code: 2
    ----- stderr -----
      × jobs of this study are still queued or running: train (slurm 101), fit (slurm 102)
      help: wait for them (`regmix launch status`), cancel them (`regmix launch cancel`), or add
            `--again` for more workers beside them
    ");
    engines.calls();
    engines.ok(&["launch", "slurm", "--again", "--workers", "2"]);
    let again = engines.fixture.text("campaign.json");
    assert_eq!(again, campaign, "workers of the first launch go on");

    engines.calls();
    assert_launch!(engines.ok(&["launch", "cancel"]).stdout, @r"
    cancelled train (slurm 101)
    cancelled fit (slurm 102)
    ");
    // What waits goes first, so that it does not begin.
    let calls = engines.calls();
    let cancels = calls.lines().filter(|call| call.starts_with("scancel"));
    assert_launch!(cancels.collect::<Vec<_>>().join("\n"), @r"
    scancel 102
    scancel 101
    ");
}

#[test]
fn jobs_that_slurm_has_forgotten_are_over() {
    let engines = Engines::new(&["sbatch", "squeue", "scancel"]);
    engines.ok(&["launch", "slurm"]);
    let forgotten = "slurm_load_jobs error: Invalid job id specified\n";
    engines.fixture.write("bin/squeue.fails", forgotten);
    assert_launch!(engines.ok(&["launch", "status"]).stdout, @r"
    step   job  workers  waiting  running  done  failed  ended
    train  101        4        0        0     0       0      4
    ended: the engine does not say how; `regmix status` shows the runs
    ");
    assert_launch!(engines.ok(&["launch", "cancel"]).stdout, @"no job was queued or running");
    // So that nothing is in the way of the next launch.
    engines.ok(&["launch", "slurm"]);
    let failing = "slurm_load_jobs error: Unable to contact slurm controller\n";
    engines.fixture.write("bin/squeue.fails", failing);
    assert_launch!(engines.run(&["launch", "slurm"]), @r"
    $ regmix launch slurm
    exit code: 1
    ----- stderr -----
      × `squeue` failed: slurm_load_jobs error: Unable to contact slurm controller
    ");
}

#[test]
fn a_job_that_slurm_refuses_leaves_those_before_it_recorded() {
    let engines = Engines::new(&["squeue"]);
    let refused = "sbatch: error: Batch job submission failed: Invalid account\n";
    engines.program(
        "sbatch",
        &format!(
            "#!/bin/sh\ncase $* in *dependency*) echo '{refused}' >&2; exit 1;; esac\necho 7\n"
        ),
    );
    assert_launch!(engines.run(&["launch", "slurm", "--through", "fit"]), @r"
    $ regmix launch slurm --through fit
    exit code: 1
    ----- stderr -----
      × `sbatch` failed: sbatch: error: Batch job submission failed: Invalid account
      help: the jobs before it are queued: see them with `regmix launch status`, or cancel them with
            `regmix launch cancel`
    ");
    assert!(
        engines
            .fixture
            .text("launch/jobs.json")
            .contains("\"id\": \"7\"")
    );
    engines.program("sbatch", "#!/bin/sh\necho Submitted batch job 8\n");
    engines.program("squeue", "#!/bin/sh\nexit 0\n");
    assert_launch!(engines.run(&["launch", "slurm"]), @r"
    $ regmix launch slurm
    exit code: 1
    ----- stderr -----
      × `sbatch --parsable` printed `Submitted batch job 8`: expected the number of a job
      help: look with `squeue` whether the job was taken, and cancel it with `scancel`
    ");
}

#[test]
fn a_job_on_kubernetes_is_applied_counted_and_deleted() {
    let engines = Engines::new(&["kubectl"]);
    let study = engines.fixture.text("study.toml");
    engines
        .fixture
        .write("study.toml", format!("{study}{KUBERNETES}"));
    engines.fixture.write("bin/kubectl.stdin", "");
    engines.ok(&["launch", "kubernetes"]);
    let manifest = engines.fixture.text("bin/kubectl.stdin");
    assert!(manifest.contains("kind: Job"), "{manifest}");
    std::fs::remove_file(engines.fixture.path("bin/kubectl.stdin")).unwrap();
    engines.prints(
        "kubectl",
        r#"{"status": {"active": 3, "ready": 2, "succeeded": 1, "failedIndexes": "4"}}"#,
    );
    assert_launch!(engines.ok(&["launch", "status"]).stdout, @r"
    step                      job  workers  waiting  running  done  failed  ended
    train  regmix-tiny-[NONCE]-1        6        2        2     1       1      0
    ");
    engines.ok(&["launch", "cancel"]);
    assert_launch!(engines.calls(), @r"
    kubectl apply -f -
    kubectl get job regmix-tiny-[NONCE]-1 -o json -n ml
    kubectl get job regmix-tiny-[NONCE]-1 -o json -n ml
    kubectl delete job regmix-tiny-[NONCE]-1 --ignore-not-found --wait=false -n ml
    ");
}

#[test]
fn a_job_on_hyperqueue_is_submitted_counted_and_cancelled() {
    let engines = Engines::new(&[]);
    engines.program(
        "hq",
        "#!/bin/sh\ncase $* in *submit*) echo 3;; *running*) echo 0-2;; *finished*) echo 3;; esac\n",
    );
    engines.ok(&["launch", "hyperqueue"]);
    assert_launch!(engines.ok(&["launch", "status"]).stdout, @r"
    step   job  workers  waiting  running  done  failed  ended
    train    3        4        0        3     1       0      0
    ");
    assert_launch!(engines.ok(&["launch", "cancel"]).stdout, @"cancelled train (hyperqueue 3)");
}

#[test]
fn a_machine_without_the_engine_is_told_of_the_dry_run() {
    let engines = Engines::new(&[]);
    let study = engines.fixture.text("study.toml");
    engines
        .fixture
        .write("study.toml", format!("{study}{KUBERNETES}"));
    let outputs = ["slurm", "kubernetes", "hyperqueue"]
        .map(|engine| engines.without(&["launch", engine]).to_string());
    assert_launch!(outputs.join("\n"), @r"
    $ regmix launch slurm
    exit code: 2
    ----- stderr -----
      × there is no `sbatch` on PATH
      help: run it on a machine with Slurm's commands, such as the login node, or add `--dry-run`,
            which prints the scripts

    $ regmix launch kubernetes
    exit code: 2
    ----- stderr -----
      × there is no `kubectl` on PATH
      help: install kubectl and choose a cluster with it, or add `--dry-run`, which prints the
            manifest

    $ regmix launch hyperqueue
    exit code: 2
    ----- stderr -----
      × there is no `hq` on PATH
      help: install HyperQueue and start its server, or add `--dry-run`, which prints the command
    ");
}

#[test]
fn a_launch_that_cannot_work_is_refused_before_it_is_queued() {
    let engines = Engines::new(&["sbatch"]);
    let fixture = Fixture::study();
    fixture.ok(&["tokenize"]);
    let outputs = [
        fixture.refused(&["launch", "status"]),
        fixture.refused(&["launch", "slurm"]),
        fixture.refused(&["launch", "kubernetes", "--dry-run"]),
        engines.run(&["launch", "slurm", "--", "--devise", "cuda"]),
        engines.run(&["launch", "slurm", "--", "--redo"]),
        engines.run(&["launch", "slurm", "--", "--campaign", "7"]),
    ];
    let outputs = outputs.map(|output| output.to_string());
    assert_launch!(outputs.join("\n"), @r#"
    $ regmix launch status
    exit code: 2
    ----- stderr -----
      × ./launch/jobs.json: no jobs of this study were given to an engine
      help: `regmix launch slurm`, `kubernetes` or `hyperqueue` launches some; what workers of `regmix
            launch local` train is shown by `regmix status`

    $ regmix launch slurm
    exit code: 2
    ----- stderr -----
      × ./design/mixtures.csv: no mixtures were drawn
      help: run `regmix design` first

    $ regmix launch kubernetes --dry-run
    exit code: 2
    ----- stderr -----
      × ./study.toml: there is no section `[launch.kubernetes]`
      help: add it, with the image and the volume of the study: image = "registry/regmix:1", claim =
            "studies"

    $ regmix launch slurm -- --devise cuda
    exit code: 2
    ----- stderr -----
      × after `--`: unexpected argument '--devise' found
      help: give arguments of the command `train` there

    $ regmix launch slurm -- --redo
    exit code: 2
    ----- stderr -----
      × `--redo` for several workers: each of them would set the runs of the others aside
      help: run one `regmix train --redo` first, stop it when it trains, and launch then

    $ regmix launch slurm -- --campaign 7
    exit code: 2
    ----- stderr -----
      × after `--`: `--campaign` is given to workers by the launch
      help: leave it out
    "#);
    assert!(!engines.fixture.path("bin/calls").exists());
}

#[test]
fn a_damaged_record_of_jobs_is_refused() {
    let engines = Engines::new(&["squeue"]);
    engines
        .fixture
        .write("launch/jobs.json", "{\"version\": 1, \"jobs\": []}");
    let damaged = engines.run(&["launch", "status"]);
    damaged.is_one_error();
    damaged.says("./launch/jobs.json:1: not the expected JSON: missing field `launches`");
    damaged.says("remove the file; jobs that are still queued are then cancelled");
    engines.fixture.write(
        "launch/jobs.json",
        "{\"version\": 9, \"launches\": 1, \"jobs\": []}",
    );
    let newer = engines.run(&["launch", "status"]);
    newer.is_one_error();
    newer.says("./launch/jobs.json: `version`: version 9: expected 1");
}
