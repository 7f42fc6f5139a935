//! Fitting losses to mixtures.

use regmix_data::Result;
use regmix_data::table::{MixtureTable, Observations};
use regmix_regress::{Fit, FitOptions, LearningCurve, LearningOptions};

use crate::stamp::Stamp;
use crate::study::{Context, Study, natural_mixture};
use crate::watch::{Watch, counted};

/// [`Fit::train`], with its progress shown.
///
/// # Errors
/// As [`Fit::train`].
pub fn fit_watched(
    observations: &Observations,
    options: &FitOptions,
    watch: &dyn Watch,
) -> Result<Fit> {
    counted(watch, "judging", |told| {
        Fit::train_watched(observations, options, told)
    })
}

/// [`Fit::learning_curve`], with its progress shown.
///
/// # Errors
/// As [`Fit::learning_curve`].
pub fn learning_watched(
    fit: &Fit,
    options: &LearningOptions,
    watch: &dyn Watch,
) -> Result<LearningCurve> {
    counted(watch, "learning curve", |told| {
        fit.learning_curve(options, told)
    })
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
        let losses = self.collect_trajectories()?.final_losses()?;
        let finished = all
            .iter()
            .filter(|(run, _)| losses.runs().iter().any(|r| r == run))
            .map(|(run, mixture)| (run.to_owned(), mixture.clone()));
        let mixtures = MixtureTable::new(all.domains().clone(), finished)?;
        if mixtures.len() < all.len() {
            cx.watch.say(&format!(
                "{} of {} proxies are finished; the fit uses those",
                mixtures.len(),
                all.len()
            ));
        }
        let config = self.config();
        let digest = |text: String| blake3::hash(text.as_bytes()).to_hex()[..16].to_owned();
        let stamp = Stamp::new(self.path("fit/inputs.json"))
            .with("mixtures", &digest(mixtures.to_csv()))?
            .with("losses", &digest(losses.to_csv()))?
            .with("seed", &config.study.seed)?
            .with("fit", &config.fit)?;
        let folder = self.path("fit");
        if stamp.is_fresh(&folder.join("fit.json"), "fit", cx.redo)? {
            return Fit::load(folder);
        }
        cx.watch.say(&format!("fitting {} runs", mixtures.len()));
        let options = FitOptions {
            regressors: config.fit.regressors.clone(),
            folds: config.fit.folds,
            repeats: config.fit.repeats,
            seed: config.study.seed,
            natural: Some(natural_mixture(corpus.manifest())?),
            ..FitOptions::default()
        };
        let fit = fit_watched(&Observations::join(mixtures, losses)?, &options, cx.watch)?;
        fit.save(&folder)?;
        stamp.write()?;
        Ok(fit)
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
        let curve = learning_watched(&fit, &options, cx.watch)?;
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
