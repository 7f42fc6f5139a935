use std::time::{Duration, Instant};

use regmix_data::{Error, Result};
use regmix_model::lease::Sharing;
use regmix_study::{Part, Study, TrainOptions, campaign};

use super::ComputeArgs;
use crate::interrupt;

/// How a worker shares the runs with others.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Several workers on one study")]
pub(crate) struct WorkerArgs {
    /// Train only the part with this number, counted from 1, of N equal parts.
    #[arg(long, value_name = "I/N", value_parser = parse_shard, conflicts_with = "index")]
    shard: Option<(u64, u64)>,
    /// Train only the part with this number, counted from 0; auto: the index that Slurm,
    /// Kubernetes or HyperQueue gives to this process.
    #[arg(long, value_name = "auto|I", value_parser = parse_index)]
    index: Option<Index>,
    /// The number of parts, with `--index`; Slurm gives it.
    #[arg(long, value_name = "N", requires = "index")]
    of: Option<u64>,
    /// Leave when all other runs are trained by other workers; otherwise wait for these, and
    /// take a run over whose worker is gone.
    #[arg(long)]
    no_wait: bool,
    /// After how long without a sign of life a worker counts as gone.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_time)]
    stale_after: Duration,
    /// Stop after this time, save, and exit with 75, as after SIGTERM; for example 55m.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    max_time: Option<Duration>,
    /// The number of the campaign, which `regmix launch` gives to its workers: refuse to train
    /// where campaign.json has another one, since that is not the folder of the launch.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) campaign: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum Index {
    Auto,
    Number(u64),
}

impl WorkerArgs {
    /// Checks that this is the folder that the worker was launched for, if it was launched.
    pub(crate) fn check_campaign(&self, study: &Study) -> Result<()> {
        match &self.campaign {
            Some(nonce) => campaign::check(study, nonce),
            None => Ok(()),
        }
    }

    /// What a step of training takes. `--max-time` begins to count now.
    pub(crate) fn options(&self, compute: &ComputeArgs) -> Result<TrainOptions> {
        let variable = |name: &str| std::env::var(name).ok();
        let part = match (self.shard, self.index) {
            (Some((number, of)), _) => Some(Part::new(number - 1, of)?),
            (None, Some(Index::Auto)) => Some(Part::from_engine(self.of, variable)?),
            (None, Some(Index::Number(index))) => {
                let of = self.of.ok_or_else(|| {
                    Error::input(format!("index {index}, and not of how many parts"))
                        .field("--index")
                        .help("add `--of N`, the number of parts")
                })?;
                Some(Part::new(index, of)?)
            }
            (None, None) => None,
        };
        if let Some(end) = self
            .max_time
            .and_then(|time| Instant::now().checked_add(time))
        {
            interrupt::stop_at(end);
        }
        Ok(TrainOptions {
            parallel: compute.parallel,
            part,
            sharing: Sharing {
                stale_after: self.stale_after,
                wait: !self.no_wait,
            },
        })
    }
}

fn parse_shard(text: &str) -> std::result::Result<(u64, u64), String> {
    let parsed = || {
        let (number, of) = text.split_once('/')?;
        Some((number.trim().parse().ok()?, of.trim().parse().ok()?))
    };
    match parsed() {
        Some((number, of)) if 1 <= number && number <= of => Ok((number, of)),
        _ => Err("expected I/N with I from 1 to N, for example 2/4".to_owned()),
    }
}

fn parse_index(text: &str) -> std::result::Result<Index, String> {
    match text {
        "auto" => Ok(Index::Auto),
        _ => {
            (text.parse().map(Index::Number)).map_err(|_| "expected `auto` or a number".to_owned())
        }
    }
}

fn parse_time(text: &str) -> std::result::Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err(
            "expected a time above zero with its unit, for example 90s, 55m or 3h 30m".to_owned(),
        ),
    }
}
