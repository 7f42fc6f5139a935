//! Text for POSIX shells.

/// An argument that a POSIX shell reads back as it is.
///
/// ```
/// use regmix_study::launch::quoted;
///
/// assert_eq!(quoted("text=code:0.4,law:0.6"), "text=code:0.4,law:0.6");
/// assert_eq!(quoted("my study"), "'my study'");
/// assert_eq!(quoted("it's"), r"'it'\''s'");
/// # Ok::<(), regmix_data::Error>(())
/// ```
pub fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./,:=+@%".contains(c);
    match !arg.is_empty() && arg.chars().all(plain) {
        true => arg.to_owned(),
        false => format!("'{}'", arg.replace('\'', r"'\''")),
    }
}

/// A command with its arguments, on one line.
pub(super) fn command_line(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}
