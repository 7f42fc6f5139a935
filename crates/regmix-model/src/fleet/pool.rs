//! The runs that several workers divide among themselves.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use regmix_data::{Error, Monitor, Result};

use super::Shared;
use crate::lease::{Claim, Lease, LeaseInfo, Worker};

/// How often a run of another worker is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long a thread sleeps that has nothing to do.
const SLEEP: Duration = Duration::from_millis(50);

/// Where a run is.
#[derive(Debug)]
enum Place<O> {
    /// Nowhere, as far as is known.
    Open,
    /// With a thread of this worker, or being looked at by one.
    Here,
    /// With another worker, which was seen to be alive or not.
    Elsewhere {
        by: LeaseInfo,
        seen: bool,
        next_look: Instant,
    },
    /// It has ended.
    Ended(O),
}

/// The runs of a worker.
pub(super) struct Pool<'a, T: Shared> {
    jobs: &'a [T],
    worker: &'a Worker,
    wait: bool,
    monitor: &'a dyn Monitor,
    state: Mutex<State<T::Outcome>>,
}

#[derive(Debug)]
struct State<O> {
    places: Vec<Place<O>>,
    error: Option<Error>,
    /// Whether it was reported that this worker waits for others.
    has_reported: bool,
}

/// What a thread does next.
enum Next {
    Look(usize),
    Sleep,
    Leave,
}

impl<'a, T: Shared> Pool<'a, T> {
    pub(super) fn new(
        jobs: &'a [T],
        worker: &'a Worker,
        wait: bool,
        monitor: &'a dyn Monitor,
    ) -> Result<Self> {
        let place = |job: &T| Ok(job.ended()?.map_or(Place::Open, Place::Ended));
        let state = State {
            places: jobs.iter().map(place).collect::<Result<_>>()?,
            error: None,
            has_reported: false,
        };
        Ok(Self {
            jobs,
            worker,
            wait,
            monitor,
            state: Mutex::new(state),
        })
    }

    /// The next run to be trained by the calling thread; waits where others may
    /// leave one. `None` when there is nothing left to do, or all should stop.
    pub(super) fn next(&self) -> Option<(usize, Lease)> {
        loop {
            let next = self.choose();
            if let Next::Leave = next {
                return None;
            }
            if let Err(stop) = self.monitor.check() {
                self.fail(stop);
                return None;
            }
            match next {
                Next::Leave => return None,
                Next::Sleep => std::thread::sleep(SLEEP),
                Next::Look(i) => match self.look(i) {
                    Ok(Ok(lease)) => return Some((i, lease)),
                    Ok(Err(place)) => self.put(i, place),
                    Err(e) => {
                        self.put(i, Place::Open);
                        self.fail(e.in_file_if_none(self.jobs[i].folder()));
                    }
                },
            }
        }
    }

    /// Takes note of how the training of a run ended.
    pub(super) fn end(&self, i: usize, lease: Lease, result: Result<T::Outcome>) {
        let place = match result {
            Ok(status) => Place::Ended(status),
            // What it found afterwards does not count: the run is another worker's.
            Err(e) if lease.is_lost() => {
                let why = lease.check().err().unwrap_or(e);
                self.monitor
                    .message(&format!("run {}: {}", self.jobs[i].name(), why.problem()));
                Place::Open
            }
            Err(e) => {
                self.fail(e);
                Place::Open
            }
        };
        drop(lease);
        self.put(i, place);
    }

    /// How all runs ended; `None` for those that others have.
    pub(super) fn outcomes(self) -> Result<Vec<Option<T::Outcome>>> {
        let state = self.state.into_inner();
        let state = state.unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = state.error {
            return Err(error);
        }
        let outcome = |place| match place {
            Place::Ended(outcome) => Some(outcome),
            _ => None,
        };
        Ok(state.places.into_iter().map(outcome).collect())
    }

    fn lock(&self) -> MutexGuard<'_, State<T::Outcome>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the first run that may be free, in order.
    fn choose(&self) -> Next {
        let mut state = self.lock();
        if state.error.is_some() {
            return Next::Leave;
        }
        let now = Instant::now();
        let mut unseen = false;
        let mut elsewhere = 0;
        for (i, place) in state.places.iter_mut().enumerate() {
            match place {
                Place::Open => {}
                Place::Elsewhere { next_look, .. } if *next_look <= now => {}
                Place::Elsewhere { seen, .. } => {
                    elsewhere += 1;
                    unseen |= !*seen;
                    continue;
                }
                Place::Here | Place::Ended(_) => continue,
            }
            *place = Place::Here;
            return Next::Look(i);
        }
        if elsewhere == 0 || !(self.wait || unseen) {
            return Next::Leave;
        }
        if self.wait && !state.has_reported {
            state.has_reported = true;
            let (run, by) = (state.places.iter().zip(self.jobs))
                .find_map(|(place, job)| match place {
                    Place::Elsewhere { by, .. } => Some((job.name(), by.owner())),
                    _ => None,
                })
                .unwrap_or_default();
            self.monitor.message(&format!(
                "waiting for {elsewhere} runs of other workers, among them {run} ({by}); \
                 `--no-wait` leaves these to them"
            ));
        }
        Next::Sleep
    }

    /// Looks at a run: a lease if this worker has it now, else where it is.
    fn look(&self, i: usize) -> Result<std::result::Result<Lease, Place<T::Outcome>>> {
        let job = &self.jobs[i];
        if let Some(outcome) = job.ended()? {
            self.monitor.advance(job.size());
            return Ok(Err(Place::Ended(outcome)));
        }
        let folder = job.folder();
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        Ok(match self.worker.claim(folder)? {
            Claim::Held(lease) => Ok(lease),
            Claim::Busy { by, seen } => Err(Place::Elsewhere {
                by,
                seen,
                next_look: Instant::now() + LOOK,
            }),
        })
    }

    fn put(&self, i: usize, place: Place<T::Outcome>) {
        let mut state = self.lock();
        state.places[i] = place;
        let ended = (state.places.iter()).filter(|p| matches!(p, Place::Ended(_)));
        let ended = ended.count();
        drop(state);
        self.monitor
            .note(&format!("{ended}/{} runs", self.jobs.len()));
    }

    /// Keeps an error; no further run is started then.
    fn fail(&self, error: Error) {
        let kept = &mut self.lock().error;
        // A real error says more than the interruptions around it.
        if kept.as_ref().is_none_or(Error::is_interrupted) {
            *kept = Some(error);
        }
    }
}
