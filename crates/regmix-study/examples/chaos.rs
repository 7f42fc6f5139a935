//! Kills and suspends workers that share a study, two at a time, and compares every
//! trajectory with that of a study that nothing happened to.
//!
//! ```text
//! cargo run --release --example chaos -- --kills 200
//! ```
//!
//! `--kills N` workers are killed in all (default 40), and about a third as many suspended
//! until others have taken their runs over; `--workers N` at a time (default 4);
//! `--seed N` (default 1). The exit code is 1 if a run is lost or different.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rand::RngExt;
use regmix_data::{Silent, random};
use regmix_model::lease::Sharing;
use regmix_model::metrics::Line;
use regmix_model::{Device, DeviceSpec, FinishedRun};
use regmix_study::{Context, Study, TrainOptions};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// After how long the workers take a silent one for gone.
const STALE_AFTER: Duration = Duration::from_millis(600);

const STUDY: &str = r#"
[study]
name = "chaos"
seed = 5
[corpus]
path = "text"
layout = "files"
valid_share = 0.2
[tokenizer]
kind = "bytes"
[design]
runs = 12
[proxy]
preset = "nano"
lr = 0.004
layers = 1
d_model = 32
heads = 2
d_ff = 64
context = 32
steps = 150
batch_size = 8
warmup = 2
evaluations = 15
eval_sequences = 8
checkpoint_every = 6
"#;

struct Options {
    kills: u64,
    workers: usize,
    seed: u64,
}

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, folder] = arguments.as_slice()
        && first == "--worker"
    {
        return work(Path::new(folder));
    }
    let mut options = Options {
        kills: 40,
        workers: 4,
        seed: 1,
    };
    for pair in arguments.chunks(2) {
        let [name, value] = pair else {
            return Err(format!("`{}` needs a value", pair[0]).into());
        };
        match name.as_str() {
            "--kills" => options.kills = value.parse()?,
            "--workers" => options.workers = value.parse::<usize>()?.max(2),
            "--seed" => options.seed = value.parse()?,
            _ => return Err(format!("unknown option `{name}`").into()),
        }
    }
    compare(&options)
}

/// One worker, as `regmix train --parallel 1` is.
fn work(folder: &Path) -> Result<ExitCode> {
    let options = TrainOptions {
        sharing: Sharing {
            stale_after: STALE_AFTER,
            wait: true,
        },
        ..TrainOptions::parallel(1)
    };
    let device = Device::open(DeviceSpec::Cpu)?;
    let context = Context {
        monitor: &Silent,
        redo: false,
    };
    let trained = Study::open(folder)?.train(&device, options, context)?;
    Ok(match trained.left {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn compare(options: &Options) -> Result<ExitCode> {
    let dir = tempfile::tempdir()?;
    let plain = dir.path().join("plain");
    make_study(&plain)?;
    let began = Instant::now();
    work(&plain)?;
    let expected = trajectories(&plain)?;
    eprintln!(
        "{} runs in {:.1} s when nothing happens",
        expected.len(),
        began.elapsed().as_secs_f64()
    );
    let mut chaos = Chaos {
        random: random::stream(options.seed, "chaos", "kills"),
        killed: 0,
        suspended: 0,
        rounds: 0,
    };
    let (mut different, mut lost) = (0, 0);
    let began = Instant::now();
    while chaos.killed < options.kills {
        let folder = dir.path().join(format!("round-{}", chaos.rounds));
        make_study(&folder)?;
        chaos.round(&folder, options)?;
        let found = trajectories(&folder)?;
        for (run, lines) in &expected {
            match found.iter().find(|(name, _)| name == run) {
                None => lost += 1,
                Some((_, other)) if other != lines => different += 1,
                Some(_) => {}
            }
        }
        std::fs::remove_dir_all(&folder)?;
    }
    println!(
        "{} kills and {} suspensions of workers in {} studies of {} runs, {:.0} s: \
         {different} differences, {lost} lost runs",
        chaos.killed,
        chaos.suspended,
        chaos.rounds,
        expected.len(),
        began.elapsed().as_secs_f64(),
    );
    Ok(ExitCode::from(u8::from(different + lost > 0)))
}

struct Chaos {
    random: random::Stream,
    killed: u64,
    suspended: u64,
    rounds: u64,
}

impl Chaos {
    /// Lets workers train a study, and stops two of them at random moments until all
    /// runs are finished.
    fn round(&mut self, folder: &Path, options: &Options) -> Result<()> {
        self.rounds += 1;
        let start = || -> Result<Child> {
            let worker = Command::new(std::env::current_exe()?)
                .args([Path::new("--worker"), folder])
                .stderr(Stdio::piped())
                .spawn()?;
            Ok(worker)
        };
        let mut workers = (0..options.workers)
            .map(|_| start())
            .collect::<Result<Vec<_>>>()?;
        let began = Instant::now();
        while !workers.is_empty() {
            if began.elapsed() > Duration::from_secs(300) {
                return Err("a study is not finished after 5 minutes".into());
            }
            let pause = self.random.random_range(20..500);
            std::thread::sleep(Duration::from_millis(pause));
            let mut running = Vec::new();
            for mut worker in workers {
                match worker.try_wait()? {
                    None => running.push(worker),
                    Some(status) if status.success() => {}
                    Some(status) => {
                        let mut said = String::new();
                        if let Some(mut stderr) = worker.stderr.take() {
                            std::io::Read::read_to_string(&mut stderr, &mut said)?;
                        }
                        return Err(format!("a worker ended with {status}: {said}").into());
                    }
                }
            }
            workers = running;
            let enough = self.killed >= options.kills;
            let suspend = self.random.random_range(0..4) == 0;
            for _ in 0..2.min(workers.len()).saturating_sub(usize::from(enough) * 2) {
                let chosen = self.random.random_range(0..workers.len());
                let victim = &mut workers[chosen];
                if suspend {
                    self.suspended += 1;
                    signal(victim, "-STOP")?;
                    std::thread::sleep(STALE_AFTER * self.random.random_range(1..4));
                    signal(victim, "-CONT")?;
                } else {
                    self.killed += 1;
                    victim.kill()?;
                    victim.wait()?;
                    *victim = start()?;
                }
            }
        }
        Ok(())
    }
}

fn signal(worker: &Child, name: &str) -> Result<()> {
    let id = worker.id().to_string();
    // It may have ended by itself.
    Command::new("kill")
        .args([name, id.as_str()])
        .stderr(Stdio::null())
        .status()?;
    Ok(())
}

/// A study with a tokenized corpus and a design.
fn make_study(folder: &Path) -> Result<()> {
    let text = folder.join("text/train");
    std::fs::create_dir_all(&text)?;
    let mut random = random::stream(1, "chaos", "text");
    for domain in ["web", "code", "law"] {
        let mut lines = String::new();
        for document in 0..400 {
            let words: Vec<String> = (0..40)
                .map(|_| format!("{domain}{}", random.random_range(0..60)))
                .collect();
            lines.push_str(&format!(
                "{{\"text\":\"{document} {}\"}}\n",
                words.join(" ")
            ));
        }
        std::fs::write(text.join(format!("{domain}-0.jsonl")), lines)?;
    }
    let study = Study::init_with(folder, STUDY)?;
    let context = Context {
        monitor: &Silent,
        redo: false,
    };
    study.tokenize(context)?;
    study.design(context)?;
    Ok(())
}

/// The losses and other figures of every finished run, without times.
fn trajectories(folder: &Path) -> Result<Vec<(String, Vec<Line>)>> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = std::fs::read_dir(folder.join("runs"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    folders.sort();
    for run in folders.into_iter().filter(|path| path.is_dir()) {
        let Some(finished) = FinishedRun::read(&run)? else {
            continue;
        };
        let left: Vec<String> = std::fs::read_dir(&run)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .filter(|name| {
                name.as_ref()
                    .is_ok_and(|n| n.starts_with("lease") || n == "checkpoint")
            })
            .collect::<Result<_>>()?;
        if !left.is_empty() {
            return Err(format!("{}: left behind: {left:?}", run.display()).into());
        }
        let mut lines = finished.lines;
        for line in &mut lines {
            line.seconds = 0.0;
            line.train_seconds = 0.0;
            line.eval_seconds = 0.0;
            line.eval_share = 0.0;
        }
        found.push((finished.summary.run, lines));
    }
    Ok(found)
}
