//! What engines would be given.

use super::{KUBERNETES, assert_launch, filters};
use crate::fixture::Fixture;

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
    // The snapshots name a mount of a folder under its own path by this path alone.
    let folder = fixture.path("").display().to_string();
    let folder = folder.trim_end_matches('/');
    assert!(command(&fixture).contains(&format!("--bind={folder}:{folder} ")));
    assert_launch!(command(&fixture), @r"
    #SBATCH --array=0-1
    #SBATCH --no-requeue
    run apptainer exec --bind=[FOLDER] --bind=/scratch:/scratch --nv /images/regmix.sif regmix -C [FOLDER] train || code=$?
    ");
    fixture.edit("study.toml", "image =", "run = 'pyxis'\nimage =");
    fixture.edit("study.toml", "'--nv'", "'--no-container-mount-home'");
    assert_launch!(command(&fixture), @r"
    #SBATCH --array=0-1
    #SBATCH --no-requeue
    run srun --cpus-per-task=1 --container-image=/images/regmix.sif --container-mounts=[FOLDER],/scratch:/scratch --no-container-mount-home regmix -C [FOLDER] train || code=$?
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
    run [REGMIX] -C '[FOLDER]/my "50%" study'\''s' train || code=$?
    "#);
}

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
