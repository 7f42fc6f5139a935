//! Numbers as text: losses, shares, counts.

/// Stands where there is no number.
pub(crate) const NONE: &str = "–";

/// The unit of losses.
pub(crate) const UNIT: &str = "nats per token";

/// With a given number of decimals and a true minus sign.
pub(crate) fn decimals(value: f64, places: usize) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let text = format!("{:.places$}", value.abs());
    let negative = value < 0.0 && text.bytes().any(|b| b.is_ascii_digit() && b != b'0');
    if negative { format!("−{text}") } else { text }
}

/// A loss, four decimals.
pub(crate) fn loss(value: f64) -> String {
    decimals(value, 4)
}

/// A difference of losses, four decimals, always with its sign.
pub(crate) fn difference(value: f64) -> String {
    let text = loss(value);
    if value > 0.0 && value.is_finite() {
        format!("+{text}")
    } else {
        text
    }
}

/// `low to high`.
pub(crate) fn range(low: f64, high: f64) -> String {
    format!("{} to {}", loss(low), loss(high))
}

/// A share in percent, one decimal.
pub(crate) fn percent(share: f64) -> String {
    if share.is_finite() {
        format!("{}%", decimals(100.0 * share, 1))
    } else {
        NONE.to_owned()
    }
}

/// An optional share.
pub(crate) fn maybe_percent(share: Option<f64>) -> String {
    share.map_or_else(|| NONE.to_owned(), percent)
}

/// A count with separated thousands.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Three digits and a letter: 512M, 1.05B.
pub(crate) fn short(value: f64) -> String {
    scaled(value, &[(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")])
}

/// Bytes in powers of 1000.
pub(crate) fn bytes(value: u64) -> String {
    let units = [(1e12, " TB"), (1e9, " GB"), (1e6, " MB"), (1e3, " kB")];
    let text = scaled(value as f64, &units);
    if value < 1000 {
        format!("{text} B")
    } else {
        text
    }
}

fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    // 999.6 would round to four digits, so the next unit begins a bit below.
    let unit = units.iter().find(|(size, _)| value.abs() >= 0.9995 * size);
    let (size, letter) = unit.copied().unwrap_or((1.0, ""));
    let scaled = value / size;
    let places = match scaled.abs() {
        a if a >= 99.95 => 0,
        a if a >= 9.995 => 1,
        _ => 2,
    };
    let text = decimals(scaled, places);
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{letter}")
}

/// `1 run`, `2 runs`.
pub(crate) fn plural(n: usize, word: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {word}{s}", count(n as u64))
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [start @ .., last] => format!("{} and {last}", start.join(", ")),
    }
}

/// Quantile by linear interpolation; NaN where there is no value.
pub(crate) fn quantile(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = p.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

/// The mean of the finite values; NaN where there is none.
pub(crate) fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut n) = (0.0, 0.0);
    for value in values.into_iter().filter(|v| v.is_finite()) {
        sum += value;
        n += 1.0;
    }
    sum / n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(loss(3.45678), "3.4568");
        assert_eq!(loss(-0.00001), "0.0000");
        assert_eq!(loss(f64::NAN), NONE);
        assert_eq!(difference(0.5), "+0.5000");
        assert_eq!(difference(-0.5), "−0.5000");
        assert_eq!(percent(0.4349), "43.5%");
        assert_eq!(percent(f64::INFINITY), NONE);
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(12), "12");
        assert_eq!(short(1_048_576_000.0), "1.05B");
        assert_eq!(short(512e6), "512M");
        assert_eq!(short(999_999.0), "1M");
        assert_eq!(short(20.0), "20");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(12_345_678), "12.3 MB");
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
        assert_eq!(plural(1, "run"), "1 run");
    }

    #[test]
    fn statistics_skip_missing_values() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 0.5), 2.0);
        assert!((quantile(&[0.0, 10.0], 0.9) - 9.0).abs() < 1e-12);
        assert!(quantile(&[], 0.5).is_nan());
        assert_eq!(mean([1.0, f64::NAN, 3.0]), 2.0);
        assert!(mean([]).is_nan());
    }
}
