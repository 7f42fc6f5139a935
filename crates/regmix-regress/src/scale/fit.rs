//! The laws of scale of all targets, judged, kept in a file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use rayon::prelude::*;
use regmix_data::sealed::{read_sealed, write_sealed};
use regmix_data::table::{MixtureTable, ValueTable};
use regmix_data::{DomainSet, Error, Monitor, Result, Silent};

use crate::prediction::Prediction;
use crate::scale::anchor::{Anchor, MovedTo};
use crate::scale::blend::Blend;
use crate::scale::checks::{cautions, check, of_last_points};
use crate::scale::choice::{AcrossMixtures, Choice};
use crate::scale::ends;
use crate::scale::fitted::FittedLaw;
use crate::scale::form::LawName;
use crate::scale::growth::{Growth, ONE_SIZE};
use crate::scale::mixtures::across_mixtures;
use crate::scale::options::ScaleOptions;
use crate::scale::process::Kernel;
use crate::scale::runs::ScaleRuns;
use crate::scale::select::{CHOSEN, Judged, select};
use crate::scale::split::{Direction, splits};
use crate::scale::two_sizes::open_per_e_fold;
use crate::scale::units::Setting;

const VERSION: u32 = 5;
/// The name of the file in the folder of a fit.
pub const SCALE_FILE: &str = "scale.json";

/// How far a law can be trusted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trust {
    /// The law, or [`CHOSEN`].
    pub law: String,
    /// How many times larger than the largest fitted model.
    pub factor: f64,
    /// The relative error to expect.
    pub error: f64,
    /// Whether splits reached that far, or the error was extended.
    pub measured: bool,
}

/// Laws of scale for all targets, with the runs that they were fitted to.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleFit {
    version: u32,
    runs: ScaleRuns,
    laws: Vec<LawName>,
    blend: Blend,
    growth: Growth,
    judged: Vec<Judged>,
    warnings: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
}

impl ScaleFit {
    /// Fits laws to runs, chooses among them, and fits the chosen to all runs.
    ///
    /// # Errors
    /// When an option is out of range.
    pub fn train(runs: &ScaleRuns, options: &ScaleOptions) -> Result<Self> {
        Self::train_monitored(runs, options, &Silent)
    }

    /// [`ScaleFit::train`] with a monitor.
    ///
    /// # Errors
    /// As [`ScaleFit::train`], and when the monitor asks to stop.
    pub fn train_monitored(
        runs: &ScaleRuns,
        options: &ScaleOptions,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        check(runs, options)?;
        let names = options.laws_for(runs);
        let choice = Choice {
            names: &names,
            counting: (&options.available, &options.per_token),
            nested: options.nested,
            decayed: false,
            mixtures: AcrossMixtures::default(),
        };
        let choice = Choice {
            mixtures: across_mixtures(runs, &choice, monitor)?,
            ..choice
        };
        let all = select(&choice, &splits(runs), monitor)?;
        let ends = ends::better(runs, &all, &choice, options.last_points, monitor)?;
        let warning = ends.as_ref().and_then(of_last_points);
        let (used, selection, decayed) = match ends {
            Some(ends) => (ends.runs, ends.selection, ends.decayed),
            None => (runs.clone(), all, false),
        };
        let units = Choice { decayed, ..choice }.units(&used);
        let laws = Blend::laws(
            &selection.laws,
            &used,
            &units,
            choice.fitting(options.starts),
            monitor,
        )?;
        let anchor = choice.anchor(&used, monitor)?;
        let unknown = match runs.sizes().len() {
            1 => ONE_SIZE,
            2 => open_per_e_fold(&laws, &used, choice.mixtures.alike, monitor)?.min(ONE_SIZE),
            _ => 0.0,
        };
        let mut out = Self {
            version: VERSION,
            runs: runs.clone(),
            laws: selection.laws,
            blend: Blend::join(laws, &used, selection.kernel, anchor, choice.mixtures.open)?,
            growth: selection.growth.with_unknown(unknown),
            judged: selection.judged,
            warnings: Vec::new(),
            unit: options.unit.clone(),
        };
        out.warnings = cautions(runs, &out.blend);
        out.warnings.extend(warning);
        Ok(out)
    }

    /// The runs.
    pub fn runs(&self) -> &ScaleRuns {
        &self.runs
    }

    /// The domains of the mixtures.
    pub fn domains(&self) -> &DomainSet {
        self.runs.domains()
    }

    /// The laws whose mean is used.
    pub fn laws(&self) -> &[LawName] {
        &self.laws
    }

    /// The laws of a target.
    pub fn target_laws(&self, target: usize) -> &[FittedLaw] {
        &self.blend.targets[target].laws
    }

    /// The errors of every law on the splits in the direction of use.
    pub fn judged(&self) -> &[Judged] {
        &self.judged
    }

    /// What a reader should know.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The unit of the losses, where it was given.
    pub fn unit(&self) -> Option<&str> {
        self.unit.as_deref()
    }

    /// Whether a process corrects the laws near the data.
    pub fn is_corrected(&self) -> bool {
        self.blend.kernel.is_some()
    }

    /// The regression by which the laws are corrected, where held-out mixtures
    /// choose a share above 0.
    pub fn regression(&self) -> Option<MovedTo> {
        self.blend.anchor.as_ref().map(Anchor::moved_to)
    }

    /// How the laws are corrected, in words that follow their names.
    pub fn corrections(&self) -> String {
        let mut out = String::new();
        if let Some(MovedTo {
            share, parameters, ..
        }) = self.regression()
        {
            out.push_str(&format!(
                ", moved {:.0} % of the way to a regression on the runs of {parameters:.0} \
                 parameters",
                100.0 * share
            ));
        }
        if self.is_corrected() {
            out.push_str(", corrected near the runs by a Gaussian process");
        }
        out
    }

    /// The covariance of that process.
    pub fn kernel(&self) -> Option<Kernel> {
        self.blend.kernel
    }

    /// The loss of a target, by place, at a setting.
    pub fn predict(&self, target: usize, at: &Setting<'_>) -> Prediction {
        self.predict_all(at)[target]
    }

    /// The losses of all targets at a setting.
    pub fn predict_all(&self, at: &Setting<'_>) -> Vec<Prediction> {
        let predicted = self.blend.predict(at);
        predicted.iter().map(|p| self.growth.loss(p)).collect()
    }

    /// The expected loss of a target, and its derivative by the weights.
    pub fn mean_and_gradient(&self, target: usize, at: &Setting<'_>) -> (f64, Vec<f64>) {
        let (ln, mut by) = self.blend.ln_mean(target, at);
        let mean = ln.exp();
        by.iter_mut().for_each(|b| *b *= mean);
        (mean, by)
    }

    /// The losses of a table of mixtures at a size and length: a column per
    /// target, and one with its standard deviation.
    ///
    /// # Errors
    /// When the table is over other domains, and when the monitor asks to stop.
    pub fn predict_table(
        &self,
        table: &MixtureTable,
        (parameters, tokens): (f64, f64),
        monitor: &dyn Monitor,
    ) -> Result<ValueTable> {
        let table = table.reordered(self.domains())?;
        let targets = self.runs.targets();
        let rows: Vec<Vec<f64>> = (table.mixtures().par_iter())
            .map(|mixture| {
                monitor.check()?;
                let at = Setting {
                    weights: mixture.weights(),
                    parameters,
                    tokens,
                };
                let predicted = self.predict_all(&at).into_iter();
                Ok(predicted.flat_map(|p| [p.mean, p.sd]).collect())
            })
            .collect::<Result<_>>()?;
        let names = targets.iter().flat_map(|t| [t.clone(), format!("{t}_sd")]);
        ValueTable::new(names.collect(), table.runs().iter().cloned().zip(rows))
    }

    /// How far each law can be trusted at 2, 4 and 10 times the largest size:
    /// the error of the splits, extended in the logarithm of the factor from
    /// the noise of single measurements. Empty where no larger size was
    /// judged.
    pub fn trust(&self) -> Vec<Trust> {
        let noise = self.blend.targets.iter().flat_map(|t| &t.laws);
        let (sum, n) = noise.fold((0.0, 0.0), |(s, n), l| (s + l.residual_sd(), n + 1.0));
        // The mean of the absolute value of normal noise.
        let base = 0.8 * sum / n;
        let larger = self.judged.iter().filter(|j| j.size_factor > 1.05);
        let mut out = Vec::new();
        for judged in larger.filter(|j| j.direction == Direction::Larger) {
            let slope = (judged.error - base).max(0.1 * judged.error) / judged.size_factor.ln();
            for factor in [2.0f64, 4.0, 10.0] {
                out.push(Trust {
                    law: judged.law.clone(),
                    factor,
                    error: judged.error.min(base) + slope * factor.ln(),
                    measured: factor <= 1.1 * judged.size_factor,
                });
            }
        }
        out
    }

    /// How many times larger and longer than the fitted runs a setting may be
    /// before it leaves what splits judged.
    pub fn judged_factors(&self) -> (f64, f64) {
        let chosen = self.judged.iter().filter(|j| j.law == CHOSEN);
        chosen.fold((1.0, 1.0), |(n, d), j| {
            (j.size_factor.max(n), j.tokens_factor.max(d))
        })
    }

    /// Warnings where a size and a length leave what validation covers.
    ///
    /// # Errors
    /// When they are no size and no length, or smaller than the smallest run.
    pub fn check_setting(&self, parameters: f64, tokens: f64) -> Result<Vec<String>> {
        let sizes = self.runs.sizes();
        let (smallest, largest) = (sizes[0], sizes[sizes.len() - 1]);
        if largest <= 1.0 {
            return Err(Error::input("the sizes of the runs are not known")
                .field("--parameters")
                .help("fit again with --sizes, a table `run,parameters`"));
        }
        let (_, longest) = self.runs.token_range();
        let ends = self
            .runs
            .runs()
            .iter()
            .map(|r| r.points[r.points.len() - 1].tokens);
        let shortest = ends.fold(f64::INFINITY, f64::min);
        let refuse = |field: &str, found: f64, (least, what): (f64, &str), help: &str| {
            Err(
                Error::input(format!("{found}: expected at least {least:e}, {what}"))
                    .field(field)
                    .help(help),
            )
        };
        if !(parameters.is_finite() && parameters >= smallest * 0.999) {
            return refuse(
                "--parameters",
                parameters,
                (smallest, "the size of the smallest run"),
                "parameters are counted one by one: 1.2e9, not 1.2; a law of scale says nothing \
                 about models smaller than the proxies",
            );
        }
        if !(tokens.is_finite() && tokens >= 0.5 * shortest) {
            return refuse(
                "--tokens",
                tokens,
                (0.5 * shortest, "half of the length of the shortest run"),
                "tokens are counted one by one: 46e9, not 46; a law of scale predicts losses at \
                 the end of a run, and no run ended that early",
            );
        }
        /// Neither a model nor a run will be that large.
        const MOST: f64 = 1e18;
        for (field, found) in [("--parameters", parameters), ("--tokens", tokens)] {
            if found > MOST {
                return Err(
                    Error::input(format!("{found:e}: expected less than {MOST:e}"))
                        .field(field)
                        .help("parameters and tokens are counted one by one"),
                );
            }
        }
        let (size, length) = self.judged_factors();
        let mut out = Vec::new();
        let mut beyond = |what: &str, factor: f64, judged: f64| {
            if factor > 1.1 * judged {
                out.push(format!(
                    "{factor:.1} times the {what} of the runs, and validation judged up to \
                     {judged:.1} times: the intervals are extended from there"
                ));
            }
        };
        beyond("largest size", parameters / largest, size);
        beyond("greatest length", tokens / longest, length);
        Ok(out)
    }

    /// Writes the fit to `scale.json` in a folder.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        write_sealed(folder.join(SCALE_FILE), self)
    }

    /// Reads what [`ScaleFit::save`] wrote.
    ///
    /// # Errors
    /// When the file cannot be read, or is damaged.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        let path = folder.as_ref().join(SCALE_FILE);
        let of_one_size = folder.as_ref().join("fit.json");
        if !path.exists() && of_one_size.exists() {
            return Err(
                Error::input("a fit of runs of one size: expected laws of scale")
                    .in_file(of_one_size)
                    .help("fit again with --trajectories and --sizes, or leave out the size"),
            );
        }
        let remedy = "run the fit again";
        let fit: Self = read_sealed(&path, VERSION, remedy)?;
        let sound = fit.blend.is_sound(&fit.runs) && fit.growth.is_sound();
        match sound {
            true => Ok(fit),
            false => Err(Error::input("damaged laws of scale")
                .in_file(path)
                .help(remedy)),
        }
    }
}
