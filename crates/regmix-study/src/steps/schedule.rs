//! From the proxies' trajectories to a schedule of mixtures (RegMix-D).

use regmix_data::table::MixtureTable;
use regmix_data::{Mixture, Monitor, Result, TokenCorpus};
use regmix_dynamic::{
    Controller, Planner, Request, RunLength, Schedule, Segment, Segments, SizeCalibration,
    StageLosses, Trajectories, Transitions,
};
use regmix_model::RunSegment;
use regmix_regress::Constraints;

use super::optimize::{bounded, budget};
use crate::stamp::Stamp;
use crate::study::{Context, Study, natural_mixture};

impl Study {
    /// The mixtures of every run of the design, segment by segment: runs that
    /// switch in mid-run have several.
    ///
    /// # Errors
    /// When nothing is drawn, or a file is damaged.
    pub fn segments(&self) -> Result<Segments> {
        self.segments_of(&self.mixtures()?)
    }

    pub(crate) fn segments_of(&self, design: &MixtureTable) -> Result<Segments> {
        let path = self.path("design/segments.csv");
        if !path.exists() {
            return Ok(Segments::fixed(design));
        }
        let drawn = Segments::read_csv(path)?;
        let mut all = Segments::new(design.domains().clone());
        for (run, mixture) in design.iter() {
            // Runs that were added to the design later do not switch.
            let fixed = || {
                let mixture = mixture.clone();
                vec![Segment { from: 0.0, mixture }]
            };
            all.push(run, drawn.get(run).map_or_else(fixed, <[_]>::to_vec))?;
        }
        Ok(all)
    }

    /// Plans mixtures stage by stage from the trajectories of all finished
    /// proxies, into `schedule.json` and, for the online controller,
    /// `controller.json`; reads the schedule when it is there already.
    ///
    /// # Errors
    /// When no proxy is finished, their evaluations do not fit the stages,
    /// bounds clash, or the inputs of a finished schedule changed.
    pub fn schedule(&self, cx: Context<'_>) -> Result<Schedule> {
        let path = self.path("schedule.json");
        let corpus = self.corpus()?;
        self.design_stamp(&corpus)?
            .is_fresh(&self.path("design/mixtures.csv"), "design", false)?;
        let trajectories = self.collect_trajectories()?;
        let stamp = self.schedule_stamp(&corpus, &trajectories)?;
        if stamp.is_fresh(&path, "schedule", cx.redo)? {
            let schedule = Schedule::load(&path)?;
            match Controller::load(self.path("controller.json")) {
                Ok(_) => return Ok(schedule),
                // From the same inputs the same schedule comes.
                Err(e) => cx
                    .monitor
                    .message(&format!("the controller is made again: {e}")),
            }
        }
        cx.monitor.message(&format!(
            "planning a schedule from {} trajectories",
            trajectories.len()
        ));
        let (planner, calibration) = self.planner(&corpus, &trajectories, cx.monitor)?;
        let schedule = judged(&planner, calibration.as_ref(), cx.monitor)?;
        Controller::new(&planner, &schedule, corpus.fingerprint())?
            .save(self.path("controller.json"))?;
        schedule.save(&path)?;
        stamp.write()?;
        Ok(schedule)
    }

    /// The finished schedule.
    ///
    /// # Errors
    /// When it was not planned yet, or is damaged.
    pub fn load_schedule(&self) -> Result<Schedule> {
        let path = self.path("schedule.json");
        self.needs(&path, "no schedule was planned", "schedule")?;
        Schedule::load(path)
    }

    /// A controller at the start of a run on the finished schedule.
    ///
    /// # Errors
    /// As [`Study::load_schedule`].
    pub fn controller(&self) -> Result<Controller> {
        let path = self.path("controller.json");
        self.needs(&path, "no schedule was planned", "schedule")?;
        Controller::load(path)
    }

    fn planner(
        &self,
        corpus: &TokenCorpus,
        trajectories: &Trajectories,
        monitor: &dyn Monitor,
    ) -> Result<(Planner, Option<SizeCalibration>)> {
        let config = self.config();
        let mut dynamic = config.stage_config();
        let runs = self.segments()?;
        let losses = StageLosses::new(
            trajectories,
            &dynamic.grid()?,
            dynamic.resample,
            Some(config.proxy.steps),
        )?;
        let second = self.second_trajectories(corpus)?;
        let calibration = match (&config.second_size, &second) {
            (Some(section), Some(second)) => {
                Some(self.calibration(section, &losses, second, corpus)?)
            }
            _ => None,
        };
        if let Some(calibration) = &calibration {
            dynamic.size = calibration.correction.clone();
        }
        let target = self.target_run(corpus)?;
        let request = Request {
            objective: config.objective.objective()?,
            prior: natural_mixture(corpus.manifest())?,
            constraints: Some(
                bounded(
                    Constraints::none(runs.domains().clone()),
                    &config.constraints,
                )
                .map_err(|e| self.place_bound(e))?,
            ),
            budget: Some(budget(
                corpus.manifest(),
                &config.constraints,
                target.tokens as f64,
            )),
            target,
            config: dynamic,
        };
        let rows = Transitions::new(&losses, &runs)?;
        let planner = Planner::fit_monitored(&rows, request, monitor)?;
        Ok((planner, calibration))
    }

    /// The run that a schedule is for: the target, or one of as many tokens
    /// as `constraints.target_tokens` says.
    fn target_run(&self, corpus: &TokenCorpus) -> Result<RunLength> {
        let section = &self.config().target;
        let context = section.model(corpus.vocab_size())?.context;
        let own = section.steps * (section.batch_size * context) as u64;
        Ok(RunLength {
            steps: section.steps,
            tokens: (self.config().constraints.target_tokens).map_or(own, |tokens| tokens as u64),
        })
    }

    fn schedule_stamp(&self, corpus: &TokenCorpus, losses: &Trajectories) -> Result<Stamp> {
        let config = self.config();
        let digest = |text: String| blake3::hash(text.as_bytes()).to_hex()[..16].to_owned();
        let target = self.target_run(corpus)?;
        let mut stamp = Stamp::new(self.path("schedule.inputs.json"));
        if let Some(section) = &self.config().second_size {
            // Runs that are missing are said when they are needed.
            let second = self.second_trajectories(corpus).ok().flatten();
            let second = second.map(|t| digest(t.to_csv()));
            stamp = (stamp.with("second_size", section)?).with("second_trajectories", &second)?;
        }
        stamp
            .with("corpus", &corpus.fingerprint())?
            .with("trajectories", &digest(losses.to_csv()))?
            .with("mixtures", &digest(self.segments()?.to_csv()))?
            .with("dynamic", &config.stage_config())?
            .with("objective", &config.objective)?
            .with("constraints", &config.constraints)?
            .with("target", &target)
    }

    /// What changed since the schedule was planned, if anything did.
    pub(crate) fn schedule_staleness(&self, corpus: &TokenCorpus) -> Result<Option<String>> {
        let path = self.path("schedule.json");
        if !path.exists() {
            return Ok(None);
        }
        let trajectories = self.read_trajectories(corpus)?;
        self.schedule_stamp(corpus, &trajectories)?.staleness(&path)
    }
}

/// Folds of the runs by which a stage model is judged.
const FOLDS: usize = 5;

/// A schedule with how far its stage model can be trusted, and what the size
/// correction rests on.
pub(super) fn judged(
    planner: &Planner,
    calibration: Option<&SizeCalibration>,
    monitor: &dyn Monitor,
) -> Result<Schedule> {
    let mut schedule = planner.schedule_monitored(monitor)?;
    match planner.accuracy(FOLDS, monitor) {
        Ok(accuracy) => schedule.accuracy = accuracy,
        Err(e) if e.is_interrupted() => return Err(e),
        Err(e) => (schedule.notes).push(format!("the stage model could not be judged: {e}")),
    }
    if let Some(calibration) = calibration {
        schedule.predicted_target = planner.at_target(&schedule);
        schedule.notes.push(calibration.words());
    }
    Ok(schedule)
}

/// The first mixture of a schedule and the changes after it; a ramp is climbed
/// in steps.
pub(super) fn changes(schedule: &Schedule) -> Result<(Mixture, Vec<RunSegment>)> {
    const RUNGS: u64 = 16;
    let mut changes = (schedule.switches(RUNGS).into_iter())
        .map(|(step, weights)| {
            let mixture = Mixture::normalized(schedule.mean.domains().clone(), weights)?;
            Ok(RunSegment { step, mixture })
        })
        .collect::<Result<Vec<_>>>()?;
    let first = changes.remove(0);
    Ok((first.mixture, changes))
}
