//! The regressor `gbdt`: its settings and its fit.

use regmix_data::{Error, Result};

use crate::folds::Folds;
use crate::regressor::gbdt::boost::{Settings, boost};
use crate::regressor::gbdt::error_size::ErrorSize;
use crate::regressor::gbdt::model::GbdtModel;
use crate::regressor::interface::{FitContext, Regressor};
use crate::regressor::model::Model;
use crate::samples::Samples;

/// Gradient-boosted regression trees: `L(r) = ȳ + η Σ_k T_k(r)`, each tree
/// `T_k` fitted by least squares to what the trees before it leave, and taken
/// with a small step η (Friedman 2001, doi 10.1214/aos/1013203451). It is the
/// regressor of RegMix (arXiv 2407.01492), which uses LightGBM (Ke et al.
/// 2017, "LightGBM: a highly efficient gradient boosting decision tree").
///
/// | field | default | range |
/// |---|---|---|
/// | `rounds` | 1000 | 1 to 100 000 trees |
/// | `learning_rate` | 0.01 | above 0, to 1 |
/// | `leaves` | 31 | 2 to 256 |
/// | `min_rows_per_leaf` | none: 4 + n / 32 for n rows, at most 20 | 1 or more |
/// | `bins` | 255 | 2 to 65 536 per domain |
/// | `min_rows_per_bin` | none: 1 + n / 128, at most 3 | 1 or more |
/// | `early_stopping` | no | |
///
/// As in LightGBM, weights are sorted into bins of about equally many rows,
/// with one bin for weights of zero; trees grow leaf by leaf, the leaf and
/// the place of highest gain first; sums over a bin's rows are kept, and a
/// node's larger child gets its sums by subtraction. With
/// [`Gbdt::lightgbm`]'s settings the predictions are LightGBM's up to
/// rounding, until rounding decides between two splits of equal gain. They
/// differ for weights between zero and half the smallest one seen: these
/// count as zero here.
///
/// The defaults differ from LightGBM's in one thing: with fewer than 512 rows
/// leaves and bins may hold fewer. With LightGBM's 20 rows per leaf, fewer
/// than 40 rows give a constant.
///
/// The standard deviation comes from errors on rows held out (5 folds, with
/// larger steps), as a second, small forest for the logarithm of their size;
/// it is scaled so that 9 in 10 held-out errors lie within the 90 % interval.
///
/// It wins where the map has no simple form and rows are many. It fails where
/// rows are few, and away from them: it is constant beyond the outermost
/// rows, and in steps near weights of zero, where losses bend most. It has no
/// slope for a search to go down: average the best of many draws
/// ([`simulate`](crate::search::simulate)), as RegMix does.
///
/// Cost of a fit O(rounds · D · (n · depth + leaves · bins)), of which the
/// standard deviation takes a third; of one prediction O(rounds · depth).
/// Many at once are faster, see [`Model::means`].
///
/// ```
/// use regmix_regress::{Samples, regressor::{Gbdt, Regressor}};
///
/// // A step that no sum of weights describes.
/// let rows: Vec<Vec<f64>> = (0..100).map(|i| vec![i as f64 / 99.0, 1.0 - i as f64 / 99.0]).collect();
/// let losses = rows.iter().map(|w| if w[0] > 0.5 { 2.0 } else { 3.0 }).collect();
/// let samples = Samples::new(rows.iter().map(Vec::as_slice), losses)?;
/// let model = Gbdt::default().fit(&samples, 0)?;
/// assert!((model.mean(&[0.2, 0.8]) - 3.0).abs() < 1e-3);
/// assert!((model.mean(&[0.8, 0.2]) - 2.0).abs() < 1e-3);
/// assert!(model.gradient(&[0.2, 0.8]).is_none());
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gbdt {
    /// How many trees are grown; fewer if no split gains anything.
    pub rounds: usize,
    /// η: the share of a tree that is added.
    pub learning_rate: f64,
    /// The most leaves of a tree.
    pub leaves: usize,
    /// The least rows in a leaf; `None` goes by the number of rows.
    pub min_rows_per_leaf: Option<usize>,
    /// The most bins of a domain.
    pub bins: usize,
    /// The least rows in a bin, unless rows run out; `None` goes by the
    /// number of rows.
    pub min_rows_per_bin: Option<usize>,
    /// Chooses the number of trees, up to `rounds`, by the squared error on
    /// one in 5 of the rows given, before all of them are fitted.
    pub early_stopping: bool,
}

impl Default for Gbdt {
    fn default() -> Self {
        Self {
            rounds: 1000,
            learning_rate: 0.01,
            leaves: 31,
            min_rows_per_leaf: None,
            bins: 255,
            min_rows_per_bin: None,
            early_stopping: false,
        }
    }
}

impl Regressor for Gbdt {
    fn name(&self) -> &str {
        "gbdt"
    }

    fn fit_with(&self, samples: &Samples<'_>, context: FitContext<'_>) -> Result<Model> {
        self.check()?;
        let FitContext { seed, monitor, .. } = context;
        let mut settings = self.settings(samples.len());
        if self.early_stopping {
            let folds = Folds::of(samples, 5, seed, "gbdt-stop")?;
            let (train, held) = folds.split(0);
            let forest = boost(&samples.pick(&train)?, &self.settings(train.len()), monitor)?;
            settings.rounds = forest.best_rounds(&samples.pick(&held)?);
        }
        Ok(Model::Gbdt(GbdtModel {
            forest: boost(samples, &settings, monitor)?,
            error_size: ErrorSize::fit(
                samples,
                seed,
                |rows| Settings {
                    rounds: settings.rounds,
                    ..self.settings(rows)
                },
                monitor,
            )?,
        }))
    }
}

impl Gbdt {
    /// LightGBM's own defaults, with the 1000 rounds and the learning rate of
    /// RegMix: 20 rows per leaf and 3 per bin, however few there are.
    #[must_use]
    pub fn lightgbm() -> Self {
        Self {
            min_rows_per_leaf: Some(20),
            min_rows_per_bin: Some(3),
            ..Self::default()
        }
    }

    fn check(&self) -> Result<()> {
        let refuse = |field, value: usize, expected: &str| {
            Err(Error::input(format!("{value}, expected {expected}")).field(field))
        };
        if !(1..=100_000).contains(&self.rounds) {
            return refuse("rounds", self.rounds, "1 to 100000");
        }
        if !(2..=256).contains(&self.leaves) {
            return refuse("leaves", self.leaves, "2 to 256");
        }
        if !(2..=1 << 16).contains(&self.bins) {
            return refuse("bins", self.bins, "2 to 65536");
        }
        for (field, value) in [
            ("min_rows_per_leaf", self.min_rows_per_leaf),
            ("min_rows_per_bin", self.min_rows_per_bin),
        ] {
            if value == Some(0) {
                return refuse(field, 0, "at least 1");
            }
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 1.0) {
            let error = format!("{}, expected above 0 and at most 1", self.learning_rate);
            return Err(Error::input(error).field("learning_rate"));
        }
        Ok(())
    }

    /// The settings for so many rows. What goes by their number was chosen on
    /// subsets of the published 512 rows: with 5, 6, 8, 12, 16 rows per leaf
    /// the ranks of unseen mixtures were best, or as good as best, for 32,
    /// 64, 128, 256 and 410 rows.
    fn settings(&self, rows: usize) -> Settings {
        Settings {
            rounds: self.rounds,
            rate: self.learning_rate,
            leaves: self.leaves,
            min_rows: self.min_rows_per_leaf.unwrap_or((4 + rows / 32).min(20)),
            bins: self.bins,
            rows_per_bin: self.min_rows_per_bin.unwrap_or((1 + rows / 128).min(3)),
        }
    }
}
