//! How several workers share the runs of a study.

use regmix_data::{Error, Result};
use regmix_model::lease::Sharing;

/// How many models are trained at once, and which.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrainOptions {
    /// Runs at a time; 0: as many as suits the device.
    pub parallel: usize,
    /// The part of the runs that this worker trains; all if `None`.
    pub part: Option<Part>,
    /// What to do about runs that other workers train.
    pub sharing: Sharing,
}

impl TrainOptions {
    /// All runs, so many at a time.
    pub fn parallel(parallel: usize) -> Self {
        Self {
            parallel,
            ..Self::default()
        }
    }

    /// Whether this worker trains the run in a place of the design.
    pub(crate) fn takes(&self, place: usize) -> bool {
        self.part.is_none_or(|part| part.contains(place))
    }

    /// Whether the call may end while runs of other workers are not finished.
    pub(crate) fn may_leave_runs(&self) -> bool {
        self.part.is_some() || !self.sharing.wait
    }
}

/// One of several equal parts of the runs: every `of`-th, beginning with `index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    index: u64,
    of: u64,
}

impl Part {
    /// The part with a number from 0 to `of - 1`.
    ///
    /// # Errors
    /// When there is no such part.
    pub fn new(index: u64, of: u64) -> Result<Self> {
        if index < of {
            return Ok(Self { index, of });
        }
        let problem = match of {
            0 => "0 parts, expected at least 1".to_owned(),
            _ => format!("index {index} of {of} parts, expected 0 to {}", of - 1),
        };
        Err(Error::input(problem).field("--index").help(
            "indices count from 0, as Kubernetes and Slurm arrays `0-N` do; `--shard 1/N` \
             counts from 1",
        ))
    }

    /// The part that a cluster's engine assigns to this process by the environment:
    /// the index of a Slurm array, a Kubernetes Indexed Job or a HyperQueue array.
    /// Of how many, Slurm tells; otherwise `of` must.
    ///
    /// # Errors
    /// When no engine's variable is set, it is no number, or `of` is missing or too
    /// small.
    pub fn from_engine(of: Option<u64>, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let number = |name: &str| -> Result<Option<u64>> {
            let Some(text) = variable(name) else {
                return Ok(None);
            };
            let parsed = text
                .trim()
                .parse()
                .map_err(|_| Error::input(format!("`{text}`, expected a number")).field(name))?;
            Ok(Some(parsed))
        };
        if let Some(id) = number("SLURM_ARRAY_TASK_ID")? {
            let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
            let step = number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
            let count = number("SLURM_ARRAY_TASK_COUNT")?;
            return Self::new(id.saturating_sub(first) / step, needed(of.or(count))?);
        }
        for name in ["JOB_COMPLETION_INDEX", "HQ_TASK_ID"] {
            if let Some(index) = number(name)? {
                return Self::new(index, needed(of)?);
            }
        }
        Err(Error::input(
            "no engine gives an index: none of SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX and \
             HQ_TASK_ID is set",
        )
        .field("--index auto")
        .help("give the number, `--index I --of N`; or leave it out: workers share the runs out by themselves"))
    }

    /// Whether the run in this place of the design is one of the part.
    pub(crate) fn contains(&self, place: usize) -> bool {
        place as u64 % self.of == self.index
    }
}

fn needed(of: Option<u64>) -> Result<u64> {
    of.ok_or_else(|| {
        Error::input("the engine gives an index, and not of how many")
            .field("--index auto")
            .help("add `--of N`, the number of indices of the job")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auto(of: Option<u64>, set: &[(&str, &str)]) -> Result<Part> {
        Part::from_engine(of, |name| {
            let found = set.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn every_run_is_in_one_part() {
        let parts: Vec<Part> = (0..4).map(|i| Part::new(i, 4).unwrap()).collect();
        for place in 0..10 {
            assert_eq!(parts.iter().filter(|p| p.contains(place)).count(), 1);
        }
        let error = Part::new(7, 4).unwrap_err();
        assert_eq!(error.problem(), "index 7 of 4 parts, expected 0 to 3");
        assert_eq!(
            Part::new(0, 0).unwrap_err().problem(),
            "0 parts, expected at least 1"
        );
    }

    #[test]
    fn engines_give_the_index() {
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "12"),
            ("SLURM_ARRAY_TASK_MIN", "10"),
            ("SLURM_ARRAY_TASK_STEP", "2"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
        ];
        assert_eq!(auto(None, &slurm).unwrap(), Part::new(1, 4).unwrap());
        let kubernetes = [("JOB_COMPLETION_INDEX", "3")];
        assert_eq!(
            auto(Some(4), &kubernetes).unwrap(),
            Part::new(3, 4).unwrap()
        );
        let error = auto(None, &kubernetes).unwrap_err();
        assert_eq!(
            error.problem(),
            "the engine gives an index, and not of how many"
        );
        assert_eq!(
            auto(Some(9), &[("HQ_TASK_ID", "8")]).unwrap(),
            Part::new(8, 9).unwrap()
        );
        let error = auto(Some(4), &[("HQ_TASK_ID", "x")]).unwrap_err();
        assert_eq!(error.to_string(), "`HQ_TASK_ID`: `x`, expected a number");
        let error = auto(Some(4), &[]).unwrap_err();
        assert!(
            error.problem().starts_with("no engine gives an index"),
            "{error}"
        );
    }
}
