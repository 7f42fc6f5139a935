//! Proposing further proxies from the fit of those there are.

use std::collections::BTreeSet;

use regmix_data::artefact::write_atomic;
use regmix_data::table::MixtureTable;
use regmix_data::{Error, Result};
use regmix_model::RunStatus;
use regmix_regress::{Budget, Constraints, Fit, NextOptions, NextRun, Objective, RecommendOptions};

use super::optimize::{budget, limited, limited_by_file};
use crate::config::ObjectiveFile;
use crate::study::{Context, Study};

impl Study {
    /// Proposes `runs` further proxies for the objective of the study and
    /// appends them to `design/mixtures.csv` under new names.
    ///
    /// They keep to the constraints of the mixture that is wanted and, where
    /// the design limits repetition, to that limit. Lines that are there stay
    /// as they are to the byte: weights that are read and written again can
    /// move by rounding, and finished runs would then be of another mixture.
    ///
    /// # Errors
    /// When nothing is fitted, the fit is older than the runs, a run of the
    /// design is not trained yet (the same mixtures would be proposed again),
    /// or as [`regmix_regress::next_runs`].
    pub fn next_design(&self, runs: usize, cx: Context<'_>) -> Result<Vec<(String, NextRun)>> {
        let path = self.path("design/mixtures.csv");
        let table = self.mixtures()?;
        let mut pending = 0;
        for run in table.runs() {
            let status = RunStatus::read(&self.path("runs").join(run))?;
            if !matches!(status, RunStatus::Done(_) | RunStatus::Failed(_)) {
                pending += 1;
            }
        }
        if pending > 0 {
            return Err(Error::input(format!(
                "{pending} mixtures of the design are not trained yet: expected all, so that the \
                 next ones can learn from them"
            ))
            .in_file(path)
            .help("run `regmix train` and `regmix fit --redo` first"));
        }
        self.needs(&self.path("fit/fit.json"), "nothing is fitted", "fit")?;
        let fit = self.fit(Context { redo: false, ..cx })?;
        let config = self.config();
        let corpus = self.corpus()?;
        let wanted = budget(
            corpus.manifest(),
            &config.constraints,
            self.target_tokens()?,
        );
        let mut constraints = Constraints::none(fit.domains().clone());
        if config.design.max_epochs > 0.0 {
            let proxies = Budget {
                target_tokens: self.proxy_tokens(&corpus)? as f64,
                max_epochs: config.design.max_epochs,
                ..wanted.clone()
            };
            constraints = proxies.caps(fit.domains())?;
        }
        let limits = RecommendOptions {
            budget: Some(wanted),
            ..RecommendOptions::default()
        };
        let limits = limited(&fit, &config.constraints, limits)?;
        let options = NextOptions {
            runs,
            objective: config.objective.objective()?,
            constraints: Some(constraints.and(&limits.bounds(fit.domains())?)?),
            seed: config.study.seed,
            ..NextOptions::default()
        };
        cx.monitor.message("choosing the next mixtures");
        let next = named(
            &table,
            regmix_regress::next_runs_monitored(&fit, &options, cx.monitor)?,
        );
        let rows = (next.iter()).map(|(run, next)| (run.clone(), next.mixture.clone()));
        let added = MixtureTable::new(table.domains().clone(), rows)?.to_csv();
        let mut text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
        if !text.ends_with('\n') {
            text.push('\n');
        }
        for line in added.lines().skip(1) {
            text.push_str(line);
            text.push('\n');
        }
        write_atomic(&path, text.as_bytes())?;
        Ok(next)
    }
}

/// Proposes runs for an objective, under the limits of an objective file if
/// there is one. Names go on after those of the fit's runs.
///
/// # Errors
/// As [`regmix_regress::next_runs`] and [`optimize_file`](crate::optimize_file).
pub fn next_runs(
    fit: &Fit,
    objective: &Objective,
    limits: Option<&ObjectiveFile>,
    options: NextOptions,
) -> Result<Vec<(String, NextRun)>> {
    let limits = match limits {
        Some(file) => limited_by_file(fit, file, RecommendOptions::default())?,
        None => RecommendOptions::default(),
    };
    let options = NextOptions {
        objective: objective.clone(),
        constraints: Some(limits.bounds(fit.domains())?),
        ..options
    };
    Ok(named(
        &fit.observations().mixtures,
        regmix_regress::next_runs(fit, &options)?,
    ))
}

/// Numbers runs on from those of a table, over names that are taken.
fn named(table: &MixtureTable, next: Vec<NextRun>) -> Vec<(String, NextRun)> {
    let taken: BTreeSet<&str> = table.runs().iter().map(String::as_str).collect();
    let free = (table.len()..)
        .map(|i| format!("run-{i:04}"))
        .filter(|name| !taken.contains(name.as_str()));
    free.zip(next).collect()
}
