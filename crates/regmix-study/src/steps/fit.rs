//! Fitting losses to mixtures.

use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{Error, Monitor, Result, TokenCorpus};
use regmix_dynamic::Trajectories;
use regmix_regress::{Earlier, Fit, FitOptions, LearningCurve, LearningOptions};

use crate::config::EarlierSection;
use crate::stamp::Stamp;
use crate::study::{Context, Study, natural_mixture};

/// [`Fit::train`], with its progress shown.
///
/// # Errors
/// As [`Fit::train`].
pub fn fit_watched(
    observations: &Observations,
    options: &FitOptions,
    monitor: &dyn Monitor,
) -> Result<Fit> {
    Fit::train_monitored(observations, options, monitor)
}

/// [`regmix_regress::learning_curve`], with its progress shown.
///
/// # Errors
/// As [`regmix_regress::learning_curve`].
pub fn learning_watched(
    fit: &Fit,
    options: &LearningOptions,
    monitor: &dyn Monitor,
) -> Result<LearningCurve> {
    regmix_regress::learning_curve_monitored(fit, options, monitor)
}

/// Reads runs from before the domains changed, writes them over the domains
/// and targets of new ones, and says what became of them.
///
/// # Errors
/// When a table cannot be read, and as [`Earlier::new`]; the error names the
/// table.
pub fn earlier_runs(
    section: &EarlierSection,
    new: &Observations,
    monitor: &dyn Monitor,
) -> Result<Observations> {
    let old = Observations::join(
        MixtureTable::read_csv(&section.mixtures)?,
        ValueTable::read_csv(&section.losses)?,
    )
    .map_err(|e| e.in_file(&section.losses))?;
    let splits = (section.split.iter())
        .map(|(domain, parts)| (domain.clone(), parts.clone().into_iter().collect()))
        .collect();
    let found = Earlier::new(&old, new, &splits).map_err(|e| {
        let of_losses = e.field_name().is_none() && e.to_string().contains("target");
        e.in_file(if of_losses {
            &section.losses
        } else {
            &section.mixtures
        })
    })?;
    let runs = found.observations.mixtures.len();
    monitor.message(&format!(
        "{runs} earlier runs are fitted with them, and never judged"
    ));
    let tell = |names: &[String], what: &str| {
        if !names.is_empty() {
            const SHOWN: usize = 8;
            let more = match names.len().saturating_sub(SHOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let names = names[..names.len().min(SHOWN)].join(", ");
            monitor.message(&format!("{what}: {names}{more}"));
        }
    };
    tell(&found.new_domains, "domains that are new since then");
    tell(
        &found.dropped,
        "earlier runs left out for using a domain that is gone",
    );
    tell(&found.unmeasured, "targets that only new runs have");
    tell(
        &found.ignored,
        "targets of earlier runs that new ones do not have, not used",
    );
    Ok(found.observations)
}

impl Study {
    /// Fits the final losses of all finished proxies, into `fit/`; reads the
    /// fit when it is there already.
    ///
    /// # Errors
    /// When no proxy is finished, there are too few, or the inputs of a
    /// finished fit changed.
    pub fn fit(&self, cx: Context<'_>) -> Result<Fit> {
        let all = self.mixtures()?;
        // Losses on an older corpus say nothing about this one.
        let corpus = self.corpus()?;
        self.design_stamp(&corpus)?
            .is_fresh(&self.path("design/mixtures.csv"), "design", false)?;
        let trajectories = self.collect_trajectories()?;
        if trajectories.len() < all.len() {
            cx.monitor.message(&format!(
                "{} of {} proxies are finished; the fit uses those",
                trajectories.len(),
                all.len()
            ));
        }
        let (mixtures, losses) = self.static_runs(&all, &trajectories)?;
        if mixtures.len() < trajectories.len() {
            cx.monitor.message(&format!(
                "{} of them change mixture in mid-run and are left to `regmix schedule`",
                trajectories.len() - mixtures.len(),
            ));
        }
        let config = self.config();
        let stamp = self.fit_stamp(&mixtures, &losses)?;
        let folder = self.path("fit");
        if stamp.is_fresh(&folder.join("fit.json"), "fit", cx.redo)? {
            return Fit::load(folder);
        }
        cx.monitor
            .message(&format!("fitting {} runs", mixtures.len()));
        let observations = Observations::join(mixtures, losses)?;
        let earlier = (self.earlier_section())
            .map(|section| earlier_runs(&section, &observations, cx.monitor))
            .transpose()?;
        let options = FitOptions {
            earlier,
            regressors: config.fit.regressors.clone(),
            folds: config.fit.folds,
            repeats: config.fit.repeats,
            seed: config.study.seed,
            natural: Some(natural_mixture(corpus.manifest())?),
            ..FitOptions::default()
        };
        let fit = fit_watched(&observations, &options, cx.monitor)?;
        fit.save(&folder)?;
        stamp.write()?;
        Ok(fit)
    }

    /// Mixtures and final losses of the finished runs that stay on one
    /// mixture.
    fn static_runs(
        &self,
        all: &MixtureTable,
        trajectories: &Trajectories,
    ) -> Result<(MixtureTable, ValueTable)> {
        let segments = self.segments_of(all)?;
        let stays = |run: &str| segments.get(run).is_some_and(|s| s.len() == 1);
        let mut own = Trajectories::new(trajectories.domains().clone());
        for (run, points) in trajectories.iter().filter(|(run, _)| stays(run)) {
            own.push(run, points.to_vec())?;
        }
        if own.is_empty() {
            return Err(Error::input("no finished proxy stays on one mixture")
                .in_file(self.path("design/segments.csv"))
                .help("lower `design.switching`, then: regmix design --redo"));
        }
        let runs = (all.iter())
            .filter(|(run, _)| own.get(run).is_some())
            .map(|(run, mixture)| (run.to_owned(), mixture.clone()));
        let mixtures = MixtureTable::new(all.domains().clone(), runs)?;
        Ok((mixtures, own.final_losses()?))
    }

    /// What a fit of these runs would be made from.
    fn fit_stamp(&self, mixtures: &MixtureTable, losses: &ValueTable) -> Result<Stamp> {
        let digest = |text: String| blake3::hash(text.as_bytes()).to_hex()[..16].to_owned();
        let stamp = Stamp::new(self.path("fit/inputs.json"))
            .with("mixtures", &digest(mixtures.to_csv()))?
            .with("losses", &digest(losses.to_csv()))?
            .with("seed", &self.config().study.seed)?
            .with("fit", &self.config().fit)?;
        let Some(earlier) = self.earlier_section() else {
            return Ok(stamp);
        };
        let read = |path| {
            let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
            Ok::<_, Error>(digest(text))
        };
        stamp
            .with("earlier mixtures", &read(&earlier.mixtures)?)?
            .with("earlier losses", &read(&earlier.losses)?)
    }

    /// `[fit.earlier]`, with paths that hold from anywhere.
    fn earlier_section(&self) -> Option<EarlierSection> {
        let section = self.config().fit.earlier.as_ref()?;
        Some(EarlierSection {
            mixtures: self.root().join(&section.mixtures),
            losses: self.root().join(&section.losses),
            split: section.split.clone(),
        })
    }

    /// What changed since the fit was made, if anything did.
    pub(crate) fn fit_staleness(&self, corpus: &TokenCorpus) -> Result<Option<String>> {
        let trajectories = self.read_trajectories(corpus)?;
        let (mixtures, losses) = self.static_runs(&self.mixtures()?, &trajectories)?;
        self.fit_stamp(&mixtures, &losses)?
            .staleness(&self.path("fit/fit.json"))
    }

    /// Measures how accuracy grows with the number of proxies, into
    /// `fit/learning.csv`; reads it when it is there already. A new fit takes
    /// the file away.
    ///
    /// # Errors
    /// When nothing is fitted, or there are too few proxies for any subset.
    pub fn learning_curve(&self, cx: Context<'_>) -> Result<LearningCurve> {
        let fit = self.load_fit()?;
        let path = self.path("fit/learning.csv");
        if path.exists() && !cx.redo {
            return LearningCurve::read_csv(path);
        }
        let options = LearningOptions {
            seed: self.config().study.seed,
            ..LearningOptions::default()
        };
        let curve = learning_watched(&fit, &options, cx.monitor)?;
        curve.write_csv(path)?;
        Ok(curve)
    }

    /// The finished fit.
    ///
    /// # Errors
    /// When it was not made yet, or is damaged.
    pub fn load_fit(&self) -> Result<Fit> {
        self.needs(&self.path("fit/fit.json"), "nothing is fitted", "fit")?;
        Fit::load(self.path("fit"))
    }
}
