//! A second size of proxies, and the size correction that is measured by it.

use regmix_data::table::MixtureTable;
use regmix_data::{Error, Result, TokenCorpus};
use regmix_dynamic::{DynamicConfig, SizeCalibration, StageLosses, State, Trajectories};
use regmix_model::{Device, Job};

use super::proxies::{report_failures, run_jobs};
use crate::config::SecondSizeSection;
use crate::study::{Context, Study};

impl Study {
    /// The runs of the second size: the first of the design that do not
    /// switch, as what switching runs are on differs with their steps.
    pub(crate) fn second_runs(&self, mixtures: &MixtureTable) -> Result<Vec<String>> {
        let Some(section) = &self.config().second_size else {
            return Ok(Vec::new());
        };
        let segments = self.segments_of(mixtures)?;
        let fixed = mixtures.runs().iter();
        let fixed = fixed.filter(|run| segments.get(run).is_some_and(|s| s.len() == 1));
        let runs: Vec<String> = fixed.take(section.runs).cloned().collect();
        if runs.len() < section.runs {
            let error = Error::input(format!(
                "{} runs, but the design has {} that do not switch",
                section.runs,
                runs.len()
            ));
            return Err(self.place(error.field("runs"), "second_size"));
        }
        Ok(runs)
    }

    /// Trains the second size, where the study has one.
    pub(crate) fn train_second(
        &self,
        mixtures: &MixtureTable,
        corpus: &TokenCorpus,
        device: &Device,
        parallel: usize,
        cx: Context<'_>,
    ) -> Result<()> {
        let Some(section) = &self.config().second_size else {
            return Ok(());
        };
        let seed = self.config().study.seed;
        let mut jobs = Vec::new();
        for run in self.second_runs(mixtures)? {
            let Some(mixture) = mixtures.get(&run) else {
                continue;
            };
            let spec = self.spec(&section.model, &run, seed, mixture, corpus)?;
            let folder = self.path("second").join(&run);
            jobs.push(Job {
                spec,
                folder,
                steer: None,
            });
        }
        if cx.redo {
            self.set_aside_stale(&jobs, cx)?;
        }
        let model = section.model.model(corpus.vocab_size())?;
        cx.monitor.message(&format!(
            "second size, {}: {}",
            section.model.preset,
            model.parameters()
        ));
        let statuses = run_jobs("train second size", &jobs, corpus, device, parallel, cx)?;
        report_failures(&jobs, &statuses, cx.monitor);
        Ok(())
    }

    /// The losses of the second size; none where the study has none.
    pub(crate) fn second_trajectories(&self, corpus: &TokenCorpus) -> Result<Option<Trajectories>> {
        if self.config().second_size.is_none() {
            return Ok(None);
        }
        let runs = self.second_runs(&self.mixtures()?)?;
        let table = self.read_runs("second", &runs, corpus)?;
        Ok(Some(table))
    }

    /// The size correction, from the losses of both sizes.
    pub(crate) fn calibration(
        &self,
        section: &SecondSizeSection,
        small: &StageLosses,
        large: &Trajectories,
        corpus: &TokenCorpus,
    ) -> Result<SizeCalibration> {
        let config = self.config();
        let dynamic = config.stage_config();
        let large = StageLosses::new(
            large,
            &dynamic.grid()?,
            dynamic.resample,
            Some(section.model.steps),
        )?;
        let size = |run: &crate::config::RunSection| -> Result<f64> {
            Ok(run.model(corpus.vocab_size())?.parameters().total() as f64)
        };
        let proxy = size(&config.proxy)?;
        let ratios = [size(&section.model)? / proxy, size(&config.target)? / proxy];
        let objective = config.objective.objective()?;
        measured(&dynamic, section.law, small, &large, ratios, &objective)
            .map_err(|e| self.place(e.field("model"), "second_size"))
    }
}

/// A calibration for the state that a configuration has.
pub(super) fn measured(
    config: &DynamicConfig,
    law: regmix_dynamic::SizeLaw,
    small: &StageLosses,
    large: &StageLosses,
    ratios: [f64; 2],
    objective: &regmix_regress::Objective,
) -> Result<SizeCalibration> {
    let objective = (config.state == State::Objective).then_some(objective);
    SizeCalibration::measure(law, small, large, ratios, objective)
}
