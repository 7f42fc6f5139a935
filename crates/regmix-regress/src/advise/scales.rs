//! Whether the values of targets are comparable.

use regmix_data::{Error, Result};

use crate::fit::Fit;
use crate::metrics::quantile;

/// Refuses targets that no mean can be taken of, for example losses beside
/// times: the one with the largest values would decide.
pub(super) fn check_scales(fit: &Fit) -> Result<()> {
    const COMPARABLE: f64 = 1000.0;
    let values = &fit.observations().values;
    let size = |t: usize| {
        let column = values.rows().iter().map(|row| row[t].abs());
        quantile(&column.filter(|v| v.is_finite()).collect::<Vec<_>>(), 0.5)
    };
    let mut sizes: Vec<(f64, &String)> = (fit.counted().into_iter())
        .map(|t| (size(t), &values.targets()[t]))
        .filter(|(size, _)| *size > 0.0)
        .collect();
    sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
    match (sizes.first(), sizes.last()) {
        (Some((low, small)), Some((high, large))) if *high > COMPARABLE * low => {
            Err(Error::input(format!(
                "values of `{large}` are typically {high:.4}, those of `{small}` {low:.4}: expected \
                 targets of similar size, since all count alike"
            ))
            .help(
                "name one target, or weigh them in a file (`[weights]`); remove columns that are \
                 no targets and fit again",
            ))
        }
        _ => Ok(()),
    }
}
