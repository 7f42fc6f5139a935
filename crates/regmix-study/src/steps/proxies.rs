//! Training the proxies.

use regmix_data::Result;
use regmix_dynamic::Trajectories;
use regmix_model::{Device, Job, RunSegment};

use super::runs::{Compute, check_precision, spec, train_runs};
use super::{design, losses, second_size};
use crate::files;
use crate::study::{Context, Study};

/// Trains every proxy that is not finished, and those of the second size.
pub(crate) fn train(
    study: &Study,
    device: &Device,
    parallel: usize,
    cx: Context<'_>,
) -> Result<Trajectories> {
    let section = &study.config().proxy;
    check_precision(study, device, "proxy", section)?;
    let corpus = study.checked_corpus(cx.monitor)?;
    let mixtures = design::design(study, Context { redo: false, ..cx })?;
    let seed = study.config().study.seed;
    let segments = design::segments(study, &mixtures)?;
    let jobs = mixtures
        .iter()
        .map(|(run, mixture)| {
            let mut spec = spec(section, run, seed, mixture, &corpus)?;
            for segment in segments.get(run).into_iter().flatten().skip(1) {
                spec.later_segments.push(RunSegment {
                    step: (segment.from * section.steps as f64).round() as u64,
                    mixture: segment.mixture.reordered(corpus.domains())?,
                });
            }
            Ok(Job {
                spec,
                folder: study.path(files::PROXIES).join(run),
                steer: None,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let compute = Compute {
        corpus: &corpus,
        device,
        parallel,
    };
    train_runs(["train proxies", ""], section, &jobs, compute, cx)?;
    second_size::train(study, &mixtures, compute, cx)?;
    losses::collect_trajectories(study, &corpus)
}
