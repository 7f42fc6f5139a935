//! What a stage is trained on when its mixture is reached over a ramp.
//!
//! Over the share r of a stage, the mixture moves in a straight line from the
//! one before: the mean of the stage is `(1 - r/2) w + (r/2) w_before`. It is
//! linear in the mixtures, so that each of them is drawn for a known share of
//! training, its own stage's and the next one's.

use std::borrow::Cow;

use super::Problem;
use crate::dynamics::Dynamics;

impl<D: Dynamics + ?Sized> Problem<'_, D> {
    /// The part of a stage that is drawn from the mixture before. A run begins
    /// on its first mixture.
    fn entering(&self, place: usize) -> f64 {
        match place == 0 && self.position.fraction == 0.0 {
            true => 0.0,
            false => 0.5 * self.ramp,
        }
    }

    /// The mean mixture of a stage.
    pub(super) fn mean<'m>(
        &self,
        place: usize,
        before: &[f64],
        mixture: &'m [f64],
    ) -> Cow<'m, [f64]> {
        let part = self.entering(place);
        if part == 0.0 {
            return Cow::Borrowed(mixture);
        }
        let both = mixture.iter().zip(before);
        Cow::Owned(both.map(|(w, b)| w + part * (b - w)).collect())
    }

    /// The mean mixtures of the stages from a place on; `before` is the mixture
    /// before the first.
    pub(crate) fn means<'m>(
        &self,
        place: usize,
        before: &[f64],
        mixtures: &'m [Vec<f64>],
    ) -> Vec<Cow<'m, [f64]>> {
        (mixtures.iter().enumerate())
            .map(|(i, mixture)| {
                let before = i.checked_sub(1).map_or(before, |i| &mixtures[i]);
                self.mean(place + i, before, mixture)
            })
            .collect()
    }

    /// From derivatives by the mean mixtures of the stages from a place on to
    /// those by their mixtures.
    pub(super) fn by_mixtures(&self, place: usize, slopes: &mut [Vec<f64>]) {
        for i in 0..slopes.len() {
            let own = 1.0 - self.entering(place + i);
            let next = self.entering(place + i + 1);
            let (here, later) = slopes.split_at_mut(i + 1);
            for (d, slope) in here[i].iter_mut().enumerate() {
                *slope = own * *slope + later.first().map_or(0.0, |l| next * l[d]);
            }
        }
    }

    /// The share of training that is drawn from the mixture of a stage.
    pub(super) fn drawn(&self, place: usize) -> f64 {
        let next = match place + 1 < self.left() {
            true => self.share(place + 1) * self.entering(place + 1),
            false => 0.0,
        };
        self.share(place) * (1.0 - self.entering(place)) + next
    }

    /// The share of all tokens of every domain that is taken before anything is
    /// chosen: what the run has read, and the ramp away from the mixture before.
    pub(super) fn used(&self) -> Vec<f64> {
        let ramp = self.share(0) * self.entering(0);
        let p = &self.position;
        (p.used.iter().zip(&p.previous))
            .map(|(used, w)| used + ramp * w)
            .collect()
    }
}
