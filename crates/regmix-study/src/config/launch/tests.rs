use std::path::Path;

use super::*;
use crate::config::StudyConfig;

fn parse(launch: &str) -> regmix_data::Result<LaunchSection> {
    let text = format!("[corpus]\npath = 'x'\n{launch}");
    StudyConfig::parse(&text, Path::new("study.toml")).map(|config| config.launch)
}

const KUBERNETES: &str = "[launch.kubernetes]\nimage = 'i'\nclaim = 'c'\n";

#[test]
fn a_study_needs_no_launch_section() {
    assert_eq!(parse("").unwrap(), LaunchSection::default());
    let launch = parse(
        "[launch.slurm]\npartition = 'gpu,big'\ngres = 'gpu:a100:1'\nmemory = '16G'\n\
         time = '1-12:30'\nextra = ['--constraint=a100', '-x node1']\n\
         [launch.slurm.container]\nimage = 'regmix.sif'\noptions = ['--nv']\n\
         [launch.hyperqueue]\ntime_limit = '1h30m'\n",
    );
    let launch = launch.unwrap();
    assert_eq!(launch.slurm.gres.as_deref(), Some("gpu:a100:1"));
    let tool = launch.slurm.container.unwrap().run;
    assert_eq!(tool, ContainerTool::Apptainer);
    let kubernetes = parse(&format!(
        "{KUBERNETES}cpus = 4\nmemory = '8Gi'\nnode_selector = {{ 'x.io/pool' = 'gpu' }}\n\
         tolerations = [{{ key = 'gpu', operator = 'Exists', effect = 'NoSchedule' }}]\n"
    ));
    assert_eq!(kubernetes.unwrap().kubernetes.unwrap().cpus, 4.0);
}

#[test]
fn what_an_engine_would_refuse_is_refused_at_its_key() {
    for (section, line, expected) in [
        (
            "slurm",
            "time = '4h'",
            "`launch.slurm.time`: `4h`: expected minutes, `4:00:00` (hours:minutes:seconds), \
             `1-12` (days-hours), `1-12:30` or `infinite`",
        ),
        (
            "slurm",
            "memory = '16 GB'",
            "`launch.slurm.memory`: `16 GB`: expected a number of megabytes, or one with K, M, G \
             or T, such as `8G`",
        ),
        (
            "slurm",
            "partition = 'a b'",
            "`launch.slurm.partition`: `a b`: expected a name as Slurm has them, without blanks \
             and quotes",
        ),
        (
            "slurm",
            "workers = 0",
            "`launch.slurm.workers`: 0: expected 1 to 100000",
        ),
        (
            "slurm",
            "signal = 70000",
            "`launch.slurm.signal`: 70000: expected 10 to 65535",
        ),
        (
            "slurm",
            "extra = ['constraint=a100']",
            "`launch.slurm.extra`: `constraint=a100`: expected an option of sbatch on one line, \
             such as `--constraint=a100`",
        ),
        (
            "slurm",
            "extra = ['--array=0-9']",
            "`launch.slurm.extra`: `--array=0-9`: expected an option that regmix does not set \
             itself",
        ),
        (
            "hyperqueue",
            "time_limit = '90'",
            "`launch.hyperqueue.time_limit`: `90`: expected a duration such as `3h` or `1h30m`",
        ),
    ] {
        let error = parse(&format!("[launch.{section}]\n{line}\n")).unwrap_err();
        assert_eq!(error.to_string(), format!("study.toml:4: {expected}"));
    }
    for (line, expected) in [
        (
            "memory = '8GB'",
            "`launch.kubernetes.memory`: `8GB`: expected a quantity such as `8Gi` or `512M`",
        ),
        (
            "namespace = 'My_Team'",
            "`launch.kubernetes.namespace`: `My_Team`: expected lower-case letters, digits and -, \
             at most 63, as Kubernetes has names",
        ),
        (
            "mount = 'data'",
            "`launch.kubernetes.mount`: `data`: expected an absolute path without `:`",
        ),
        (
            "study = '/elsewhere'",
            "`launch.kubernetes.study`: `/elsewhere`: expected a folder inside of `mount`",
        ),
        (
            "gpu_resource = 'gpu'",
            "`launch.kubernetes.gpu_resource`: `gpu`: expected a name such as `nvidia.com/gpu`",
        ),
        (
            "cpus = 0",
            "`launch.kubernetes.cpus`: 0: expected a number of cores, at least 0.001",
        ),
        (
            "max_failed_indexes = 9",
            "`launch.kubernetes.max_failed_indexes`: 9: expected 0 to 4",
        ),
        (
            "tolerations = [{ key = 'gpu', effect = 'noschedule' }]",
            "`launch.kubernetes.tolerations`: `noschedule`: expected `NoSchedule`, \
             `PreferNoSchedule` or `NoExecute`",
        ),
        (
            "tolerations = [{ effect = 'NoExecute' }]",
            "`launch.kubernetes.tolerations`: a toleration without a key: expected a `key`, or \
             the operator `Exists`",
        ),
    ] {
        let error = parse(&format!("{KUBERNETES}{line}\n")).unwrap_err();
        assert_eq!(error.to_string(), format!("study.toml:6: {expected}"));
    }
}

#[test]
fn unknown_and_missing_keys_are_named() {
    let error = parse("[launch.slurm]\npartiton = 'gpu'\n").unwrap_err();
    assert_eq!(error.help_text(), Some("did you mean `partition`?"));
    assert_eq!(error.line_number(), Some(4));
    let error = parse("[launch.slurm.container]\nimag = 'x'\n").unwrap_err();
    assert_eq!(error.help_text(), Some("did you mean `image`?"));
    let error = parse("[launch.kubernetes]\nimage = 'x'\n").unwrap_err();
    assert_eq!(error.problem(), "missing field `claim`");
}

#[test]
fn every_form_of_a_time_limit_of_slurm_is_taken() {
    for time in [
        "30",
        "30:00",
        "4:00:00",
        "1-0",
        "1-12:30",
        "1-12:30:59",
        "UNLIMITED",
        "infinite",
    ] {
        let launch = parse(&format!("[launch.slurm]\ntime = '{time}'\n"));
        assert_eq!(launch.unwrap().slurm.time.as_deref(), Some(time));
    }
    for time in ["", "-", "1-", "4:00:00:00", "1.5", "4 hours", "-3"] {
        parse(&format!("[launch.slurm]\ntime = '{time}'\n")).unwrap_err();
    }
}
