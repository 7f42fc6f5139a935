//! `regmix launch` with engines that only write down what they are asked.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::fixture::{FILTERS, Fixture, Output};

/// Compares with a snapshot, without the path of the program.
macro_rules! assert_launch {
    ($output:expr, @$expected:literal) => {
        insta::with_settings!({filters => filters()}, {
            insta::assert_snapshot!($output, @$expected)
        })
    };
    ($name:expr, $output:expr) => {
        insta::with_settings!({filters => filters()}, {
            insta::assert_snapshot!($name, $output)
        })
    };
}

fn filters() -> Vec<(&'static str, &'static str)> {
    let mut filters = vec![
        (r"[^\s']*/release/regmix", "[REGMIX]"),
        (r"\b[0-9a-f]{16}\b", "[NONCE]"),
        (r"regmix-tiny-[0-9a-f]{8}-", "regmix-tiny-[NONCE]-"),
    ];
    filters.extend(FILTERS);
    filters
}

/// Programs that append their arguments to `calls`, and print what lies in a
/// file of their name.
const ENGINE: &str = r#"#!/bin/sh
fake=$(dirname "$0")
name=$(basename "$0")
echo "$name $*" >> "$fake/calls"
if [ -e "$fake/$name.fails" ]; then cat "$fake/$name.fails" >&2; exit 1; fi
if [ -e "$fake/$name.stdin" ]; then cat > "$fake/$name.stdin"; fi
if [ "$name" = sbatch ]; then
    number=$(( $(cat "$fake/number" 2>/dev/null || echo 100) + 1 ))
    echo "$number" > "$fake/number"
    echo "$number"
fi
if [ -e "$fake/$name.prints" ]; then cat "$fake/$name.prints"; fi
exit 0
"#;

/// A study with its design, and engines beside it.
struct Engines {
    fixture: Fixture,
}

impl Engines {
    fn new(programs: &[&str]) -> Self {
        let fixture = Fixture::study();
        fixture.ok(&["tokenize"]);
        fixture.ok(&["design"]);
        let engines = Self { fixture };
        for program in programs {
            engines.program(program, ENGINE);
        }
        engines
    }

    fn program(&self, name: &str, script: &str) {
        let name = format!("bin/{name}");
        self.fixture.write(&name, script);
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.fixture.path(&name), executable).unwrap();
    }

    /// What a program prints from now on.
    fn prints(&self, program: &str, text: &str) {
        self.fixture.write(&format!("bin/{program}.prints"), text);
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.fixture.regmix(args);
        let bin = self.fixture.path("bin");
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        Output::of(&mut self.command(args))
    }

    /// Runs a command on a machine that has no engine.
    fn without(&self, args: &[&str]) -> Output {
        Output::of(self.command(args).env("PATH", self.fixture.path("nothing")))
    }

    fn ok(&self, args: &[&str]) -> Output {
        let output = self.run(args);
        assert_eq!(output.code, 0, "{output:?}");
        output
    }

    /// What the engines were asked so far; they forget it.
    fn calls(&self) -> String {
        let calls = self.fixture.text("bin/calls");
        self.fixture.write("bin/calls", "");
        calls
    }
}

/// Every key that changes the script.
const SLURM: &str = r#"
[launch.slurm]
workers = 8
at_once = 4
partition = "gpu,big"
account = "lab42"
qos = "long"
gres = "gpu:a100:1"
cpus = 6
memory = "16G"
time = "1-12:00:00"
signal = 300
wait = false
setup = ["module load cuda/12", "export OMP_NUM_THREADS=1"]
extra = ["--constraint=a100"]
"#;

#[test]
fn the_scripts_for_slurm() {
    let fixture = Fixture::study();
    let study = fixture.text("study.toml");
    fixture.write("study.toml", format!("{study}{SLURM}"));
    let args = ["launch", "slurm", "--dry-run", "--through", "report"];
    let arguments = ["--", "--device", "cuda"];
    let output = fixture.ok(&[&args[..], &arguments].concat());
    assert_launch!("slurm_scripts", output);
    // Nothing was written, not even a number for the campaign.
    assert!(!fixture.path("campaign.json").exists());
    assert!(!fixture.path("launch").exists());
}

#[test]
fn a_script_for_slurm_in_a_container() {
    let fixture = Fixture::study();
    let study = fixture.text("study.toml");
    let container = "[launch.slurm]\nrequeue = false\n[launch.slurm.container]\n\
                     image = '/images/regmix.sif'\noptions = ['--nv']\n\
                     mounts = ['/scratch:/scratch']\n";
    let command = |fixture: &Fixture| {
        let output = fixture.ok(&["launch", "slurm", "--workers", "2", "--dry-run"]);
        let lines = output.stdout.lines().filter(|line| {
            line.starts_with("run ") || line.contains("requeue") || line.contains("--array")
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    fixture.write("study.toml", format!("{study}\n{container}"));
    assert_launch!(command(&fixture), @r"
    #SBATCH --array=0-1
    #SBATCH --no-requeue
    run apptainer exec --bind=[FOLDER]:[FOLDER] --bind=/scratch:/scratch --nv /images/regmix.sif regmix -C [FOLDER] train
    ");
    fixture.edit("study.toml", "image =", "run = 'pyxis'\nimage =");
    fixture.edit("study.toml", "'--nv'", "'--no-container-mount-home'");
    assert_launch!(command(&fixture), @r"
    #SBATCH --array=0-1
    #SBATCH --no-requeue
    run srun --cpus-per-task=1 --container-image=/images/regmix.sif --container-mounts=[FOLDER]:[FOLDER],/scratch:/scratch --no-container-mount-home regmix -C [FOLDER] train
    ");
}

#[test]
fn paths_with_blanks_and_quotes_stay_whole() {
    let fixture = Fixture::study();
    let study = fixture.text("study.toml");
    fixture.write("my \"50%\" study's/study.toml", study);
    let args = ["-C", "my \"50%\" study's", "launch", "slurm", "--dry-run"];
    let output = fixture.ok(&args);
    let lines = output.stdout.lines().filter(|line| line.contains("50%"));
    assert_launch!(lines.collect::<Vec<_>>().join("\n"), @r#"
    #SBATCH --chdir="[FOLDER]/my \"50%\" study's"
    #SBATCH --output="[FOLDER]/my \"50%%\" study's/launch/logs/train-%A_%a.log"
    run [REGMIX] -C '[FOLDER]/my "50%" study'\''s' train
    "#);
}

const KUBERNETES: &str = r#"
[launch.kubernetes]
image = "registry.example/regmix:1"
claim = "studies"
mount = "/data"
study = "/data/my study"
namespace = "ml"
workers = 6
at_once = 3
cpus = 1.5
memory = "8Gi"
gpus = 1
max_failed_indexes = 2
queue = "team-a"
service_account = "trainer"
node_selector = { pool = "gpu" }
tolerations = [{ key = "nvidia.com/gpu", operator = "Exists", effect = "NoSchedule" }]
"#;

#[test]
fn the_manifest_for_kubernetes() {
    let fixture = Fixture::study();
    let study = fixture.text("study.toml");
    fixture.write("study.toml", format!("{study}{KUBERNETES}"));
    assert_launch!(
        "kubernetes_manifest",
        fixture.ok(&["launch", "kubernetes", "--dry-run"])
    );
}

#[test]
fn the_command_for_hyperqueue() {
    let fixture = Fixture::study();
    let study = fixture.text("study.toml");
    let section = "[launch.hyperqueue]\ncpus = 4\ngpus = 1\ntime_limit = '2h'\ncrash_limit = 9\n";
    fixture.write("study.toml", format!("{study}\n{section}"));
    let args = [
        "launch",
        "hyperqueue",
        "--dry-run",
        "--",
        "--device",
        "cuda",
    ];
    assert_launch!(fixture.ok(&args).stdout, @"hq --output-mode=quiet submit --name=regmix-tiny --array=0-3 --cpus=4 --resource=gpus/nvidia=1 --time-limit=2h --crash-limit=9 --cwd=[FOLDER] '--stdout=[FOLDER]/launch/logs/hyperqueue-%{JOB_ID}-%{TASK_ID}-%{INSTANCE_ID}.out' '--stderr=[FOLDER]/launch/logs/hyperqueue-%{JOB_ID}-%{TASK_ID}-%{INSTANCE_ID}.err' --directives=off -- [REGMIX] -C [FOLDER] train --device cuda");
}

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
        script.contains(&format!("train --campaign {nonce}\n")),
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
    train 3 waits: for 0:00, Resources
    fit waits: for 0:00, Dependency
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
    step   job                      workers  waiting  running  done  failed  ended
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
      help: install kubectl and choose a cluster with it, or add `--dry-run`, which prints the manifest

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
    ];
    let outputs = outputs.map(|output| output.to_string());
    assert_launch!(outputs.join("\n"), @"");
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

/// A task of the array: the script of the workers, with a regmix that does what
/// the test says.
struct Task {
    engines: Engines,
}

impl Task {
    fn new(regmix: &str, through: &[&str]) -> Self {
        let engines = Engines::new(&["squeue", "scontrol", "sbatch"]);
        engines.program("worker", &format!("#!/bin/sh\n{regmix}\n"));
        let study = engines.fixture.text("study.toml");
        let command = engines.fixture.path("bin/worker");
        let section = format!("[launch.slurm]\ncommand = '{}'\n", command.display());
        engines
            .fixture
            .write("study.toml", format!("{study}\n{section}"));
        engines.ok(&[&["launch", "slurm"], through].concat());
        engines.calls();
        Self { engines }
    }

    fn script(&self, step: &str) -> Command {
        let fixture = &self.engines.fixture;
        let mut bash = fixture.command("bash");
        bash.arg(fixture.path(&format!("launch/{step}.sbatch")));
        let path = format!("{}:/usr/bin:/bin", fixture.path("bin").display());
        bash.env("PATH", path)
            .env("SLURM_JOB_ID", "101")
            .env("SLURM_ARRAY_JOB_ID", "101")
            .env("SLURM_ARRAY_TASK_ID", "3");
        bash
    }

    /// The exit code of the task, and what was asked of Slurm.
    fn end(&self, step: &str, state: &str) -> (i32, String) {
        self.engines.prints("squeue", state);
        let output = Output::of(&mut self.script(step));
        (output.code, self.engines.calls())
    }
}

#[test]
fn a_task_whose_work_is_not_done_is_queued_again_once_and_alone() {
    let task = Task::new("exit 75", &[]);
    // By the number of the job, Slurm would requeue the whole array.
    let (code, calls) = task.end("train", "RUNNING\n");
    assert_eq!(code, 75);
    assert_eq!(calls, "squeue -h -j 101_3 -o %T\nscontrol requeue 101_3\n");
    // A task that was cancelled stays cancelled.
    let (code, calls) = task.end("train", "COMPLETING\n");
    assert_eq!(code, 75);
    assert_eq!(calls, "squeue -h -j 101_3 -o %T\n");
}

#[test]
fn other_exit_codes_are_passed_on() {
    for code in [0, 1, 2, 137] {
        let task = Task::new(&format!("exit {code}"), &[]);
        assert_eq!(task.end("train", "RUNNING\n"), (code, String::new()));
    }
}

#[test]
fn the_request_to_stop_reaches_the_worker() {
    // Between the signals a worker has time to save: its exit code counts.
    let task = Task::new(
        "trap 'sleep 0.3; exit 75' TERM\ntouch \"$(dirname \"$0\")/began\"\n\
         while :; do sleep 0.05; done",
        &[],
    );
    task.engines.prints("squeue", "RUNNING\n");
    let mut script = task.script("train");
    let child = script.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = child.spawn().unwrap();
    let begun = Instant::now();
    while !task.engines.fixture.path("bin/began").exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it does not begin"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut kill = Command::new("kill");
    assert!(
        kill.args(["-TERM", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    let output = Output::new(&script, child.wait_with_output().unwrap());
    assert_eq!(output.code, 75, "{output:?}");
    assert!(task.engines.calls().ends_with("scontrol requeue 101_3\n"));
}

#[test]
fn steps_after_training_end_with_the_first_that_fails() {
    let say = "shift 2; echo \"$@\" | sed 's/--campaign [0-9a-f]*/--campaign N/' >> said\n";
    let through = ["--through", "report", "--", "--device", "cpu"];
    // Runs that failed for good do not keep the others from the fit.
    let regmix = format!("{say}case $1 in train) exit 1;; esac");
    let task = Task::new(&regmix, &through);
    assert_eq!(task.end("fit", "RUNNING\n").0, 0);
    assert_eq!(task.end("report", "RUNNING\n").0, 0);
    assert_eq!(
        task.engines.fixture.text("said"),
        "train --campaign N --device cpu\nlaunch ready\nfit\noptimize\n\
         target --campaign N --device cpu\nreport\n"
    );
    let regmix = format!("{say}case $1 in launch) exit 1;; esac");
    let task = Task::new(&regmix, &through);
    assert_eq!(task.end("fit", "RUNNING\n").0, 1);
    assert_eq!(
        task.engines.fixture.text("said"),
        "train --campaign N --device cpu\nlaunch ready\n"
    );
    let task = Task::new("exit 75", &through);
    let (code, calls) = task.end("fit", "RUNNING\n");
    assert_eq!(code, 75);
    assert_eq!(calls, "squeue -h -j 101 -o %T\nscontrol requeue 101\n");
}

#[test]
fn a_fit_waits_for_every_proxy() {
    let fixture = Fixture::study();
    fixture.ok(&["tokenize"]);
    fixture.ok(&["design"]);
    assert_launch!(fixture.run(&["launch", "ready"]), @r"
    $ regmix launch ready
    exit code: 1
    ----- stderr -----
      × 10 of 10 proxies are not trained: expected none
      help: run `regmix train` first
    ");
    fixture.ok(&["train"]);
    fixture.ok(&["launch", "ready"]);
}
