//! A curve as a line of text.

/// Blocks by height.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A curve in `width` characters, from its lowest to its highest value. Where there
/// are more points than characters, each shows the last of its points.
pub(crate) fn sparkline(curve: &[(u64, f64)], width: usize) -> String {
    let values: Vec<f64> = curve.iter().map(|point| point.1).collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let n = values.len().min(width);
    (1..=n)
        .map(|k| {
            let value = values[k * values.len() / n - 1];
            let height = match high > low {
                true => (value - low) / (high - low) * (BLOCKS.len() - 1) as f64,
                false => 0.0,
            };
            BLOCKS[height.round() as usize]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::sparkline;

    #[test]
    fn a_curve_goes_from_its_highest_to_its_lowest() {
        let falling: Vec<(u64, f64)> = (0..8).map(|i| (i, 9.0 - i as f64)).collect();
        assert_eq!(sparkline(&falling, 8), "█▇▆▅▄▃▂▁");
        assert_eq!(sparkline(&falling, 4), "▇▅▃▁");
        assert_eq!(sparkline(&falling[..1], 4), "▁");
        assert_eq!(sparkline(&[], 4), "");
    }
}
