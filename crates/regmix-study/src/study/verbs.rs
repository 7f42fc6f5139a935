//! The steps of a study as its methods, in the order of their use.

use std::path::{Path, PathBuf};

use regmix_data::table::MixtureTable;
use regmix_data::tokenize::Summary;
use regmix_data::{Monitor, Muted, Result};
use regmix_dynamic::Schedule;
use regmix_dynamic::peers::PeerController;
use regmix_model::Device;
use regmix_regress::scale::{ScaleFit, ScaleOptimum};
use regmix_regress::{Fit, LearningCurve, NextRun, Recommendation};

use super::{Context, Study};
use crate::check::TargetCheck;
use crate::compare::MethodComparison;
use crate::config::ScheduleMode;
use crate::demo::{self, DemoCorpus};
use crate::files;
use crate::plain_mixture::PlainMixture;
use crate::steps::clean::{self, Leftover};
use crate::steps::current::{Reads, require_current};
use crate::steps::doremi::DoremiOutcome;
use crate::steps::estimate::Estimate;
use crate::steps::plain_mixtures::{self, PlainMixtures};
use crate::steps::proxies::Trained;
use crate::steps::retry::{self, Retried};
use crate::steps::status::{RunCounts, Status};
use crate::steps::{
    arms, compare, design, doremi, estimate, fit, next_design, optimize, proxies, report, scale,
    schedule, status, target, tokenize,
};
use crate::tables::ChosenRun;
use crate::tensorboard::{self, EventFiles};
use crate::workers::TrainOptions;

impl Study {
    /// The study of the demo in the folder `root`: opened if it exists,
    /// otherwise begun, on the user's own corpus or on the sources of regmix's
    /// dependencies. Returns the sizes of that corpus's domains if it was
    /// written now. Of a dataset on the Hugging Face hub, as [`Study::init`] has it,
    /// `monitor` receives what there is.
    ///
    /// # Errors
    /// When the corpus cannot be read or is not the recorded one, the folder
    /// cannot be written, or holds a study of another corpus.
    pub fn demo(
        root: &Path,
        corpus: Option<&Path>,
        monitor: &dyn Monitor,
    ) -> Result<(Self, Option<DemoCorpus>)> {
        demo::open_or_begin(root, corpus, monitor)
    }

    /// Tokenizes the corpus into `corpus/`; `None` when that is done already.
    ///
    /// # Errors
    /// When the text cannot be read, the tokenizer does not fit, a file
    /// cannot be written, the inputs of a finished corpus changed, or the user stops it.
    pub fn tokenize(&self, cx: Context<'_>) -> Result<Option<Summary>> {
        tokenize::tokenize(self, cx)
    }

    /// Draws the design into `design/mixtures.csv`, or reads the one that is
    /// there. A table that the user put there is used as it is.
    ///
    /// # Errors
    /// When the corpus is missing, the objective or a constraint names an
    /// unknown domain, the space of mixtures is empty, or the inputs of a
    /// finished design changed.
    pub fn design(&self, cx: Context<'_>) -> Result<MixtureTable> {
        require_current(self, Reads::Corpus, cx.monitor)?;
        design::design(self, cx)
    }

    /// Mixtures that need no proxies, by their names; without names one of every kind that
    /// suits the corpus. `utilities` is the table for UtiliMax, in place of the one that the
    /// study names. Entropies are measured when they are needed first, which
    /// reads all tokens, and kept in `corpus/entropies.json`.
    ///
    /// # Errors
    /// When the corpus is missing or damaged, the Pile has no such domain, utilities are
    /// missing or wrong, or `monitor` requests a stop.
    pub fn plain_mixtures(
        &self,
        names: &[PlainMixture],
        utilities: Option<&Path>,
        monitor: &dyn Monitor,
    ) -> Result<PlainMixtures> {
        require_current(self, Reads::Corpus, monitor)?;
        plain_mixtures::plain_mixtures(self, names, utilities, monitor)
    }

    /// The greatest number of epochs per domain over all proxies.
    ///
    /// # Errors
    /// When the corpus or the design is missing, or a domain is smaller than one
    /// sequence.
    pub fn proxy_epochs(&self) -> Result<Vec<(String, f64)>> {
        design::proxy_epochs(self)
    }

    /// Trains every proxy of the design that is not finished, then those of other
    /// sizes and the experts of the fit if there are some, and writes `trajectories.csv`. Any number of
    /// processes may do this at the same time, on all hosts that share the study's
    /// folder; they share the runs out.
    ///
    /// # Errors
    /// When the design is missing, runs were made with another configuration
    /// or corpus, a file cannot be written, or the user stops it: finished
    /// steps are kept and the same call continues.
    pub fn train(
        &self,
        device: &Device,
        options: TrainOptions,
        cx: Context<'_>,
    ) -> Result<Trained> {
        require_current(self, Reads::Design, cx.monitor)?;
        let (sizes, experts) = (self.config().sizes(), self.config().fit.experts);
        let folders: Vec<PathBuf> = (std::iter::once(PathBuf::from(files::PROXIES)))
            .chain(sizes.into_iter().map(|size| size.folder))
            .chain(experts.then(|| files::EXPERTS.into()))
            .collect();
        self.with_event_files(&folders, cx, |cx| proxies::train(self, device, options, cx))
    }

    /// How long [`Study::train`] with these options would take for the runs that are not
    /// finished: measures the speed of every kind of model on simulated tokens, for a few
    /// seconds each, as many at once as would be trained. Trains and writes nothing. Without
    /// a design, the number of runs is that of `study.toml`. Runs that were begun count from
    /// the step of their last evaluation; with `cx.redo`, runs that failed or have another
    /// configuration count as well.
    ///
    /// # Errors
    /// When the corpus is missing or has too little text for an evaluation, a finished part
    /// was made from other inputs, the device fails or lacks the precision, or the user
    /// stops it.
    pub fn estimate_training(
        &self,
        device: &Device,
        options: TrainOptions,
        cx: Context<'_>,
    ) -> Result<Estimate> {
        require_current(self, Reads::Design, cx.monitor)?;
        estimate::training(self, device, options, cx)
    }

    /// The same for [`Study::target`]. The mixture need not be known.
    ///
    /// # Errors
    /// As [`Study::estimate_training`].
    pub fn estimate_targets(
        &self,
        device: &Device,
        options: TrainOptions,
        schedules: &[ScheduleMode],
        cx: Context<'_>,
    ) -> Result<Estimate> {
        require_current(self, Reads::Design, cx.monitor)?;
        estimate::targets(self, device, options, schedules, cx)
    }

    /// How far the proxies are, whatever the rest of the study is like.
    ///
    /// # Errors
    /// When the design is missing or damaged, or a proxy is damaged.
    pub fn proxy_counts(&self) -> Result<RunCounts> {
        status::proxy_counts(self)
    }

    /// Fits the final losses of all finished proxies, into `fit/`; reads the
    /// fit when it is there already.
    ///
    /// # Errors
    /// When no proxy is finished, there are too few, or the inputs of a
    /// finished fit changed.
    pub fn fit(&self, cx: Context<'_>) -> Result<Fit> {
        require_current(self, Reads::Design, cx.monitor)?;
        fit::fit(self, cx)
    }

    /// The finished fit, if it is what the runs and study.toml give.
    ///
    /// # Errors
    /// When it was not made yet, is damaged or out of date, or `monitor` requests
    /// a stop.
    pub fn current_fit(&self, monitor: &dyn Monitor) -> Result<Fit> {
        require_current(self, Reads::Fit, monitor)?;
        self.load_fit()
    }

    /// ODM, ADO or Aioli at the start of a run, with the options, the natural mixture and the limits
    /// of the study.
    ///
    /// # Errors
    /// When the corpus is missing, an option is out of range, the limits cannot be kept, or
    /// the mode is a schedule.
    pub fn peer(&self, mode: ScheduleMode) -> Result<PeerController> {
        let (peer, limits) = arms::peer(self, mode)?;
        PeerController::new(peer, limits)
    }

    /// Fits laws of scale to the proxies and the runs of other sizes, into
    /// `fit/scale.json`; reads them when they are there already. `None` where only one
    /// size has finished runs.
    ///
    /// # Errors
    /// When a run is damaged, or the inputs of finished laws changed.
    pub fn fit_scale(&self, cx: Context<'_>) -> Result<Option<ScaleFit>> {
        require_current(self, Reads::Design, cx.monitor)?;
        scale::fit(self, cx)
    }

    /// The finished laws of scale, if they are what the runs give.
    ///
    /// # Errors
    /// When the study has one size, they were not fitted yet, are damaged or out of
    /// date, or `monitor` requests a stop.
    pub fn current_scale(&self, monitor: &dyn Monitor) -> Result<ScaleFit> {
        require_current(self, Reads::Design, monitor)?;
        scale::current(self)
    }

    /// The best mixture at a size and a length by laws of scale, for the objective and
    /// under the constraints of the study; where none are given, those of the target.
    ///
    /// # Errors
    /// As [`Study::current_scale`] and [`ScaleFit::optimum`].
    pub fn optimum_at(
        &self,
        parameters: Option<f64>,
        tokens: Option<f64>,
        cx: Context<'_>,
    ) -> Result<ScaleOptimum> {
        let fit = self.current_scale(cx.monitor)?;
        scale::optimum(self, &fit, (parameters, tokens), cx)
    }

    /// Measures how accuracy grows with the number of proxies, into
    /// `fit/learning.csv`; reads it when it is there already. A new fit
    /// removes the file.
    ///
    /// # Errors
    /// When nothing is fitted, or there are too few proxies for any subset.
    pub fn learning_curve(&self, cx: Context<'_>) -> Result<LearningCurve> {
        require_current(self, Reads::Fit, cx.monitor)?;
        fit::learning_curve(self, cx)
    }

    /// Proposes `runs` further proxies for the objective of the study and
    /// appends them to `design/mixtures.csv` under new names. They respect the
    /// constraints of the mixture that is searched and, where the design
    /// limits repetition, that limit.
    ///
    /// # Errors
    /// When nothing is fitted, the fit is older than the runs, a run of the
    /// design is not trained yet (the same mixtures would be proposed again),
    /// or as [`regmix_regress::next_runs`].
    pub fn next_design(&self, runs: usize, cx: Context<'_>) -> Result<Vec<(String, NextRun)>> {
        require_current(self, Reads::Design, cx.monitor)?;
        next_design::next_design(self, runs, cx)
    }

    /// Chooses further proxies from a table of mixtures, beside those of the
    /// design ([`regmix_data::design::choose`]), and appends them to
    /// `design/mixtures.csv` under the names they have there.
    ///
    /// # Errors
    /// When there is no design, the table is over other domains, one of its
    /// names is that of another mixture of the design, or it has too few
    /// mixtures.
    pub fn add_from_pool(
        &self,
        pool: &Path,
        runs: usize,
        cx: Context<'_>,
    ) -> Result<Vec<ChosenRun>> {
        require_current(self, Reads::Design, cx.monitor)?;
        next_design::add_from_pool(self, pool, runs, cx)
    }

    /// Searches for the best mixture under the constraints, into `mixture.json`;
    /// reads it when it is there already.
    ///
    /// # Errors
    /// When nothing is fitted, the constraints contradict each other, the objective is
    /// unknown, or the inputs of a finished mixture changed.
    pub fn optimize(&self, cx: Context<'_>) -> Result<Recommendation> {
        require_current(self, Reads::Fit, cx.monitor)?;
        optimize::optimize(self, cx)
    }

    /// Finds a mixture by DoReMi (arXiv 2305.10429), as `[doremi]` says: trains a
    /// reference model and a proxy in every round, in `doremi/`, and writes
    /// `doremi/mixture.csv` and `doremi/doremi.json`. Runs that are finished are not
    /// trained again. `None` while another worker still trains one of them, if the
    /// options do not wait for it.
    ///
    /// # Errors
    /// When the corpus is missing, runs were made with another configuration, one
    /// failed, a file cannot be written, or the user stops it.
    pub fn doremi(
        &self,
        device: &Device,
        options: TrainOptions,
        cx: Context<'_>,
    ) -> Result<Option<DoremiOutcome>> {
        require_current(self, Reads::Corpus, cx.monitor)?;
        self.with_event_files(&[files::DOREMI.into()], cx, |cx| {
            doremi::doremi(self, device, options, cx)
        })
    }

    /// The finished mixture, if it is what the fit and study.toml give.
    ///
    /// # Errors
    /// When it was not searched yet, is damaged or out of date, or `monitor`
    /// requests a stop.
    pub fn current_mixture(&self, monitor: &dyn Monitor) -> Result<Recommendation> {
        require_current(self, Reads::Mixture, monitor)?;
        self.recommendation()
    }

    /// Plans mixtures segment by segment from the trajectories of all finished
    /// proxies, into `schedule.json` and, for the online controller,
    /// `controller.json`; reads the schedule when it is there already.
    ///
    /// # Errors
    /// When no proxy is finished, their evaluations do not fit the stages,
    /// bounds contradict each other, or the inputs of a finished schedule changed.
    pub fn schedule(&self, cx: Context<'_>) -> Result<Schedule> {
        require_current(self, Reads::Design, cx.monitor)?;
        schedule::schedule(self, cx)
    }

    /// The finished schedule, if it is what the runs and study.toml give.
    ///
    /// # Errors
    /// When it was not planned yet, is damaged or out of date, or `monitor`
    /// requests a stop.
    pub fn current_schedule(&self, monitor: &dyn Monitor) -> Result<Schedule> {
        require_current(self, Reads::Design, monitor)?;
        schedule::require_current(self)?;
        self.load_schedule()
    }

    /// Trains targets on the found mixture and those it is compared with, and
    /// on `schedules` besides those of the configuration, on every seed, and
    /// writes `check.json`. `None` while other workers still train some of them, if
    /// the options do not wait for these.
    ///
    /// # Errors
    /// When the mixture is missing, runs were made with another configuration,
    /// all runs of a mixture failed, a file cannot be written, or the user stops
    /// it.
    pub fn target(
        &self,
        device: &Device,
        options: TrainOptions,
        schedules: &[ScheduleMode],
        cx: Context<'_>,
    ) -> Result<Option<TargetCheck>> {
        require_current(self, Reads::Mixture, cx.monitor)?;
        self.with_event_files(&[files::TARGETS.into()], cx, |cx| {
            target::target(self, device, options, schedules, cx)
        })
    }

    /// Trains targets by several methods, as `[compare]` says, and compares them, into
    /// `compare.json`; the methods' mixtures are in `compare.csv` before. Targets that are
    /// those of [`Study::target`] are not trained again. `None` while other workers still
    /// train some of them, if the options do not wait for these.
    ///
    /// # Errors
    /// As [`Study::target`], when a method lacks what it needs, and those of
    /// [`Study::doremi`] where it takes part.
    pub fn compare(
        &self,
        device: &Device,
        options: TrainOptions,
        cx: Context<'_>,
    ) -> Result<Option<MethodComparison>> {
        require_current(self, Reads::Mixture, cx.monitor)?;
        let folders = [files::TARGETS, files::DOREMI, files::CLIMB, files::EXPERTS];
        let folders = folders.map(PathBuf::from);
        self.with_event_files(&folders, cx, |cx| {
            compare::compare(self, device, options, cx)
        })
    }

    /// Calls `train`, which trains runs in these folders, and writes event files
    /// for TensorBoard where the study asks for them.
    fn with_event_files<T>(
        &self,
        folders: &[PathBuf],
        cx: Context<'_>,
        train: impl FnOnce(Context<'_>) -> Result<T>,
    ) -> Result<T> {
        if !self.config().logs.tensorboard {
            return train(cx);
        }
        for folder in folders {
            tensorboard::complete(&self.path(folder))?;
        }
        let monitor = &EventFiles::new(cx.monitor);
        train(Context { monitor, ..cx })
    }

    /// Writes the page about everything that is finished, and returns its path.
    ///
    /// # Errors
    /// When there is no mixture yet, a file is damaged, or a file
    /// cannot be written.
    pub fn report(&self, monitor: &dyn Monitor) -> Result<PathBuf> {
        report::report(self, monitor)
    }

    /// Sets runs aside under names as `<run>.old-1`, so that `train` or `target`
    /// makes them again: the runs of these names or folders, or without names all
    /// that failed.
    ///
    /// # Errors
    /// When a name is unknown or that of several runs, a run was not started, or a
    /// process trains it: then none is set aside.
    pub fn retry(&self, names: Option<&[String]>) -> Result<Vec<Retried>> {
        retry::retry(self, names)
    }

    /// What the study holds that no step needs any more; the weights of finished
    /// runs only where they are asked for.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn leftovers(&self, weights: bool) -> Result<Vec<Leftover>> {
        clean::leftovers(self, weights)
    }

    /// Removes what [`Study::leftovers`] found.
    ///
    /// # Errors
    /// When something cannot be removed; what comes before it is gone then.
    pub fn remove(&self, leftovers: &[Leftover]) -> Result<()> {
        clean::remove(self, leftovers)
    }

    /// What is finished, what is stale, and what comes next. The monitor can
    /// stop it while it reads a changed corpus; no progress is shown.
    ///
    /// # Errors
    /// When a file exists but is damaged.
    pub fn status(&self, monitor: &dyn Monitor) -> Result<Status> {
        status::status(self, &Muted(monitor))
    }
}
