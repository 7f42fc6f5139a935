//! How losses of the target translate to those of a proxy, from runs of other sizes.

use regmix_data::{Result, TokenCorpus};
use regmix_dynamic::{
    DynamicConfig, ScaleTranslation, SizeAndLength, SizeCalibration, SizeLaw, StageLosses, State,
};
use regmix_regress::Objective;
use regmix_regress::scale::{ScaleFit, ScaleRuns};

use super::sizes::{self, PlannedSize};
use super::{losses, scale};
use crate::config::{RunSection, SizesLaw};
use crate::files;
use crate::study::{Context, Study};
use crate::tables::measure_size_correction;

/// The size correction of a schedule, from the proxies' losses `small` and those of other
/// sizes; `None` where the study has no other size.
pub(super) fn measure(
    study: &Study,
    small: &StageLosses,
    corpus: &TokenCorpus,
    cx: Context<'_>,
) -> Result<Option<SizeCalibration>> {
    let mixtures = study.mixtures()?;
    let all = sizes::planned(study, &mixtures)?;
    // The one nearest to the target.
    let Some(largest) = all.iter().max_by_key(|p| (p.parameters, p.tokens)) else {
        return Ok(None);
    };
    let objective = study.config().goal_of_losses("a schedule")?;
    let measurement = Measurement {
        study,
        config: study.config().stage_config(),
        objective: &objective,
        small,
        largest,
        corpus,
    };
    let found = match law(study, &all) {
        SizesLaw::Scale => measurement.by_scale(cx)?,
        SizesLaw::PowerLaw => measurement.by_largest(SizeLaw::PowerLaw)?,
        SizesLaw::Affine => measurement.by_largest(SizeLaw::Affine)?,
    };
    Ok(Some(found))
}

/// The law of the study, or the best that its sizes allow: a law of scale that is to be
/// judged on the largest size needs two others besides.
fn law(study: &Study, all: &[PlannedSize<'_>]) -> SizesLaw {
    let config = study.config();
    let given = match (&config.sizes, &config.second_size) {
        (Some(sizes), _) => sizes.law,
        (None, second) => second.as_ref().map(|second| match second.law {
            SizeLaw::PowerLaw => SizesLaw::PowerLaw,
            SizeLaw::Affine => SizesLaw::Affine,
        }),
    };
    let several = all.iter().any(|p| p.parameters != all[0].parameters);
    given.unwrap_or(match several {
        true => SizesLaw::Scale,
        false => SizesLaw::PowerLaw,
    })
}

struct Measurement<'a> {
    study: &'a Study,
    config: DynamicConfig,
    objective: &'a Objective,
    /// Losses of the proxies at stage points.
    small: &'a StageLosses,
    largest: &'a PlannedSize<'a>,
    corpus: &'a TokenCorpus,
}

impl Measurement<'_> {
    fn large(&self) -> Result<StageLosses> {
        let (study, largest) = (self.study, self.largest);
        let folder = study.path(&largest.size.folder);
        let table = losses::read_runs(&folder, &largest.runs, self.corpus)?;
        let steps = Some(largest.size.model.steps);
        StageLosses::new(&table, &self.config.grid()?, self.config.resample, steps)
    }

    fn parameters(&self, run: &RunSection) -> Result<f64> {
        Ok(run.model(self.corpus.vocab_size())?.parameters().total() as f64)
    }

    fn by_largest(&self, law: SizeLaw) -> Result<SizeCalibration> {
        let config = self.study.config();
        let proxy = self.parameters(&config.proxy)?;
        let target = self.parameters(&config.target)?;
        let ratios = [self.largest.parameters as f64 / proxy, target / proxy];
        let large = self.large()?;
        measure_size_correction(
            &self.config,
            law,
            self.small,
            &large,
            ratios,
            self.objective,
        )
        .map_err(|e| {
            let section = &self.largest.size.section;
            self.study.place(e.field("model"), section)
        })
    }

    fn by_scale(&self, cx: Context<'_>) -> Result<SizeCalibration> {
        let study = self.study;
        let large = self.large()?;
        let Some(tables) = scale::tables(study, self.corpus)? else {
            return losses::none_finished(&study.path(files::SIZES), &[]);
        };
        let runs = tables.runs(cx, study)?;
        cx.monitor
            .message("fitting laws of scale for the size correction");
        let options = scale::options(study, self.corpus);
        let fit = ScaleFit::train_monitored(&runs, &options, cx.monitor)?;
        let smaller = (runs.runs().iter())
            .filter(|run| run.parameters < self.largest.parameters as f64)
            .cloned()
            .collect();
        let smaller = ScaleRuns::new(runs.domains().clone(), runs.targets().to_vec(), smaller)?;
        let without = ScaleFit::train_monitored(&smaller, &options, cx.monitor)?;
        let names: Vec<String> = self.corpus.domains().names().map(str::to_owned).collect();
        let objective = (self.config.state == State::Objective).then_some(self.objective);
        let mixtures = study.mixtures()?;
        let translation = ScaleTranslation {
            mixtures: &mixtures,
            grid: &self.config.grid()?,
            targets: &names,
            objective,
        };
        let config = study.config();
        let of = |run: &RunSection| -> Result<SizeAndLength> {
            Ok((self.parameters(run)?, run.tokens()? as f64))
        };
        let proxy = of(&config.proxy)?;
        let target = scale::target(study, self.corpus.vocab_size())?;
        let held_out = translation.correction(&without, proxy, of(self.largest.size.model)?)?;
        let correction = translation.correction(&fit, proxy, target)?;
        SizeCalibration::by_scale(correction, &held_out, [self.small, &large], objective)
    }
}
