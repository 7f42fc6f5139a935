//! What names of files and folders say: the split, the number of a shard, and
//! what is left as the name of a domain.

use std::collections::{BTreeMap, BTreeSet};

use crate::shard::Split;

/// The split that a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SplitName {
    Train,
    Valid,
    /// Held out for a test, so it is never read.
    Test,
}

impl SplitName {
    /// The split that a whole name stands for.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match &*name.to_ascii_lowercase() {
            "train" | "training" | "partial-train" => Self::Train,
            "valid" | "validation" | "val" | "dev" | "development" | "eval" | "evaluation"
            | "partial-validation" => Self::Valid,
            "test" | "testing" | "heldout" | "held-out" | "held_out" | "holdout"
            | "partial-test" => Self::Test,
            _ => return None,
        })
    }

    /// The split to read, unless it is held out.
    pub(super) fn to_read(self) -> Option<Split> {
        match self {
            Self::Train => Some(Split::Train),
            Self::Valid => Some(Split::Valid),
            Self::Test => None,
        }
    }

    /// A name without the split at its end or its front, `c4-train` or
    /// `train-web`, and that split.
    fn cut(name: &str) -> Option<(&str, Self)> {
        let at_end = name.rsplit_once(SEPARATORS);
        let at_front = name.split_once(SEPARATORS).map(|(s, rest)| (rest, s));
        [at_end, at_front]
            .into_iter()
            .flatten()
            .filter(|(rest, _)| !rest.is_empty())
            .find_map(|(rest, split)| Some((rest, Self::of(split)?)))
    }
}

const SEPARATORS: [char; 3] = ['-', '_', '.'];

/// Words that stand for a part of a file, and name no domain.
const PART_WORDS: [&str; 10] = [
    "part",
    "parts",
    "shard",
    "chunk",
    "file",
    "batch",
    "split",
    "example",
    "examples",
    "partition",
];

/// Whether a folder stands for a part of its parent, as `chunk1`.
pub(super) fn is_part_folder(name: &str) -> bool {
    let word = name
        .trim_end_matches(|c: char| c.is_ascii_digit())
        .trim_end_matches(SEPARATORS);
    word.len() < name.len() && PART_WORDS.contains(&&*word.to_ascii_lowercase())
}

/// Folders between the root of a repository and its files that name nothing.
pub(super) fn is_wrapper(name: &str) -> bool {
    matches!(
        &*name.to_ascii_lowercase(),
        "data" | "documents" | "default" | "text" | "corpus" | "raw" | "dataset"
    )
}

/// What file names of one corpus say. Whether `web_3` is the shard number 3 of
/// `web` shows only beside `web_0`, and whether `unit-test` is a held-out split
/// beside `unit-train`.
#[derive(Debug, Default)]
pub(super) struct FileNames {
    /// The numbers after each stem and separator.
    numbers: BTreeMap<(String, char), Numbers>,
    /// All names without shard numbers.
    bases: BTreeMap<String, ()>,
    /// Whether every name has a split at its end or front.
    all_have_splits: bool,
}

/// Numbers after one stem.
#[derive(Debug, Default)]
struct Numbers {
    /// The least of them.
    least: Option<u64>,
    /// How many digits those have that begin with a zero. `09` and `10` after one stem are
    /// counted alike.
    padded: BTreeSet<usize>,
}

/// What one file name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileName {
    /// The domain, if the name holds one.
    pub(super) domain: Option<String>,
    pub(super) split: Option<SplitName>,
}

impl FileNames {
    pub(super) fn of<'a>(stems: impl Iterator<Item = &'a str> + Clone) -> Self {
        let mut this = Self::default();
        for stem in stems.clone() {
            if let Some((rest, separator, digits)) = numbered(without_marks(stem)) {
                let number = digits.parse().unwrap_or(u64::MAX);
                let key = (rest.to_owned(), separator);
                let numbers = this.numbers.entry(key).or_default();
                numbers.least = Some(numbers.least.map_or(number, |least| number.min(least)));
                if digits.len() > 1 && digits.starts_with('0') {
                    numbers.padded.insert(digits.len());
                }
            }
        }
        this.bases = stems.map(|s| (this.base(s).to_owned(), ())).collect();
        this.all_have_splits = this
            .bases
            .keys()
            .all(|base| SplitName::of(base).is_some() || SplitName::cut(base).is_some());
        this
    }

    /// What a stem that was among those given to [`FileNames::of`] says.
    pub(super) fn read(&self, stem: &str) -> FileName {
        let base = self.base(stem);
        if let Some(split) = SplitName::of(base) {
            return FileName {
                domain: None,
                split: Some(split),
            };
        }
        let (name, split) = match SplitName::cut(base) {
            Some((rest, split)) if self.is_split(rest, split) => (rest, Some(split)),
            _ => (base, None),
        };
        FileName {
            domain: (!is_nameless(name)).then(|| name.to_owned()),
            split,
        }
    }

    /// Whether `rest` with a split beside it is that split of `rest`: there is
    /// `rest` itself, or another split of it, or nothing without a split.
    fn is_split(&self, rest: &str, split: SplitName) -> bool {
        self.all_have_splits
            || self.bases.contains_key(rest)
            || (self.bases.keys())
                .filter_map(|base| SplitName::cut(base))
                .any(|(other, of)| other == rest && of != split)
    }

    /// A stem without the number of a shard and what belongs to it.
    fn base<'a>(&self, stem: &'a str) -> &'a str {
        let stem = without_marks(stem);
        if let Some(rest) = without_total(stem) {
            return without_part_word(rest);
        }
        if let Some((rest, separator, digits)) = numbered(stem) {
            let numbers = self.numbers.get(&(rest.to_owned(), separator));
            let is_shard = |numbers| is_shard_number(rest, separator, digits, numbers);
            return match numbers.is_some_and(is_shard) {
                true => without_part_word(rest),
                false => stem,
            };
        }
        // `part0001` without a separator.
        let word = stem.trim_end_matches(|c: char| c.is_ascii_digit());
        match word.len() < stem.len() {
            true if without_part_word(word) != word => without_part_word(word),
            _ => stem,
        }
    }
}

/// A stem without the compression of parquet pages and the random part of the
/// names that Spark and older versions of `datasets` write:
/// `part-00000-<uuid>-c000.snappy`, `train-00000-of-00001-<hash>`.
fn without_marks(stem: &str) -> &str {
    let mut stem = stem;
    for page in ["snappy", "zstd", "gzip", "gz", "lz4", "brotli"] {
        if let Some(rest) = stem.strip_suffix(page).and_then(|s| s.strip_suffix('.')) {
            stem = rest;
        }
    }
    if let Some((rest, task)) = stem.rsplit_once(SEPARATORS)
        && let Some(digits) = task.strip_prefix('c')
        && is_digits(digits)
        && without_random(rest) != rest
    {
        stem = rest;
    }
    without_random(stem)
}

fn without_random(stem: &str) -> &str {
    let hexadecimal = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_hexdigit());
    let groups = [8, 4, 4, 4, 12];
    let at = stem.len().saturating_sub(36);
    if let (Some(rest), Some(uuid)) = (stem.get(..at), stem.get(at..)) {
        let parts: Vec<&str> = uuid.split('-').collect();
        let is_uuid = parts.len() == groups.len()
            && parts
                .iter()
                .zip(groups)
                .all(|(p, n)| p.len() == n && hexadecimal(p));
        if is_uuid && (rest.is_empty() || rest.ends_with(SEPARATORS)) {
            return rest.strip_suffix(SEPARATORS).unwrap_or(rest);
        }
    }
    match stem.rsplit_once(SEPARATORS) {
        Some((rest, hash)) if hash.len() >= 16 && hexadecimal(hash) => rest,
        _ => stem,
    }
}

/// `web` of `web-00000-of-00003`.
fn without_total(stem: &str) -> Option<&str> {
    let (rest, total) = trailing_digits(stem)?;
    let rest = rest.strip_suffix(SEPARATORS).unwrap_or(rest);
    let rest = rest.strip_suffix("of")?;
    let rest = rest.strip_suffix(SEPARATORS).unwrap_or(rest);
    let (rest, number) = trailing_digits(rest)?;
    let counts = number.parse::<u64>().ok()? <= total.parse::<u64>().ok()?;
    counts.then(|| rest.strip_suffix(SEPARATORS).unwrap_or(rest))
}

fn trailing_digits(text: &str) -> Option<(&str, &str)> {
    let rest = text.trim_end_matches(|c: char| c.is_ascii_digit());
    (rest.len() < text.len()).then(|| text.split_at(rest.len()))
}

/// A stem that ends in a separator and digits, or is digits as a whole.
fn numbered(stem: &str) -> Option<(&str, char, &str)> {
    if is_digits(stem) {
        return Some(("", '-', stem));
    }
    let at = stem.rfind(SEPARATORS)?;
    let digits = &stem[at + 1..];
    let separator = stem[at..].chars().next()?;
    is_digits(digits).then(|| (&stem[..at], separator, digits))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether digits after a stem number a shard, where `numbers` are all after the same
/// stem. `cc-2019`, `CC-MAIN-2023-06`, `v1.5` and
/// `gutenberg_pg_19` have none.
fn is_shard_number(rest: &str, separator: char, digits: &str, numbers: &Numbers) -> bool {
    let year = |s: &str| s.len() == 4 && (s.starts_with("19") || s.starts_with("20"));
    let after_year = rest.rsplit(SEPARATORS).next().is_some_and(year);
    let from_start = numbers.least.is_some_and(|least| least <= 1);
    let padded = numbers.padded.contains(&digits.len());
    match separator {
        _ if digits.len() <= 2 && after_year => false,
        _ if year(digits) || is_date(digits) => from_start,
        '-' => true,
        '.' if rest.ends_with(|c: char| c.is_ascii_digit()) => padded,
        _ => from_start || padded,
    }
}

/// Whether digits are a date such as 20220301, of a dump or a snapshot.
fn is_date(digits: &str) -> bool {
    let within = |range: std::ops::Range<usize>, most: u32| {
        let part = digits.get(range).and_then(|part| part.parse::<u32>().ok());
        part.is_some_and(|part| (1..=most).contains(&part))
    };
    let century = digits.starts_with("19") || digits.starts_with("20");
    digits.len() == 8 && century && within(4..6, 12) && within(6..8, 31)
}

/// `web` of `web-part`; nothing of `part`.
fn without_part_word(name: &str) -> &str {
    let word = name.rsplit(SEPARATORS).next().unwrap_or(name);
    if !PART_WORDS.contains(&&*word.to_ascii_lowercase()) {
        return name;
    }
    let rest = &name[..name.len() - word.len()];
    rest.strip_suffix(SEPARATORS).unwrap_or(rest)
}

fn is_nameless(name: &str) -> bool {
    name.is_empty()
        || is_digits(name)
        || PART_WORDS.contains(&&*name.to_ascii_lowercase())
        || (name.len() >= 16 && name.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stems: &[&str]) -> Vec<(Option<String>, Option<SplitName>)> {
        let names = FileNames::of(stems.iter().copied());
        stems
            .iter()
            .map(|stem| names.read(stem))
            .map(|name| (name.domain, name.split))
            .collect()
    }

    fn domains(stems: &[&str]) -> Vec<String> {
        let mut found: Vec<String> = read(stems)
            .into_iter()
            .map(|(domain, _)| domain.unwrap_or_default())
            .collect();
        found.dedup();
        found
    }

    #[test]
    fn numbers_of_shards_are_no_part_of_the_name() {
        for stems in [
            &["web-00000-of-00003", "web-00002-of-00003"][..],
            &["web_00000_of_00003"],
            &["web.00000-of-01024"],
            &["web-0", "web-12"],
            &["web-7"],
            &["web_0", "web_1", "web_17"],
            &["web.00", "web.01"],
            &["web_0003"],
            // Some of the shards: one rule for all of a stem.
            &["web_08", "web_09", "web_10", "web_11"],
            &["web.098", "web.101"],
            &["web_part_07", "web_part_11"],
            &["web-part-0003", "web-part-0004"],
            &["web_shard_3", "web_shard_0"],
            &["web.part0001"],
            &["web-0-of-2-0123456789abcdef"],
            &["web-00000-of-00001-0123456789abcdef.snappy"],
        ] {
            assert_eq!(domains(stems), ["web"], "{stems:?}");
        }
        let spark = "part-00000-41b4b6a8-7c7a-4d24-9a9c-0a8a1b5d6f77-c000.snappy";
        for stem in [
            spark,
            "part-00000",
            "00",
            "0123",
            "shard_00000000",
            "chunk3",
        ] {
            assert_eq!(read(&[stem]), [(None, None)], "{stem}");
        }
    }

    #[test]
    fn years_versions_and_single_numbers_stay() {
        for stem in [
            "cc-2019",
            "CC-MAIN-2023-06",
            "gutenberg_pg_19",
            "v1.5",
            "stack_v2",
            "bookcorpus2",
            "a-b",
        ] {
            assert_eq!(domains(&[stem]), [stem]);
        }
        assert_eq!(domains(&["cc-2019", "cc-2020"]).len(), 2);
        assert_eq!(domains(&["v1.0", "v1.1"]).len(), 2);
        assert_eq!(domains(&["wiki-20220301", "wiki-20231101"]).len(), 2);
    }

    #[test]
    fn splits_are_known_alone_and_beside_their_counterparts() {
        use SplitName::{Test, Train, Valid};
        let splits = |stems: &[&str]| -> Vec<Option<SplitName>> {
            read(stems).into_iter().map(|(_, split)| split).collect()
        };
        assert_eq!(
            splits(&[
                "train-00000-of-00003",
                "validation-0",
                "test",
                "dev",
                "eval"
            ]),
            [
                Some(Train),
                Some(Valid),
                Some(Test),
                Some(Valid),
                Some(Valid)
            ]
        );
        let c4 = ["c4-train.00000-of-01024", "c4-validation.00000-of-00008"];
        assert_eq!(splits(&c4), [Some(Train), Some(Valid)]);
        assert_eq!(domains(&c4), ["c4"]);
        assert_eq!(
            splits(&["train_web", "test_web"]),
            [Some(Train), Some(Test)]
        );
        assert_eq!(splits(&["web", "web-test"]), [None, Some(Test)]);
        assert_eq!(splits(&["web", "unit-test"]), [None, None]);
        assert_eq!(domains(&["web", "unit-test"]), ["web", "unit-test"]);
    }
}
