//! Commands as a user would type them.

use std::path::Path;

/// A command of a study, `regmix <verb>`, with the study's folder where that
/// is not the current one.
pub(crate) fn in_study(study: &Path, command: &str) -> String {
    let verb = command.strip_prefix("regmix ").unwrap_or(command);
    if study == Path::new(".") {
        format!("regmix {verb}")
    } else {
        format!("regmix -C {} {verb}", quoted(&study.to_string_lossy()))
    }
}

/// The command that is running.
pub(crate) fn running() -> String {
    let args = std::env::args_os().skip(1);
    let args: Vec<String> = args.map(|arg| quoted(&arg.to_string_lossy())).collect();
    format!("regmix {}", args.join(" "))
}

/// An argument that a POSIX shell reads back as it is.
fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./,:=+@%".contains(c);
    match !arg.is_empty() && arg.chars().all(plain) {
        true => arg.to_owned(),
        false => format!("'{}'", arg.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_with_blanks_are_quoted() {
        assert_eq!(in_study(Path::new("."), "regmix fit"), "regmix fit");
        assert_eq!(in_study(Path::new("a b"), "fit"), "regmix -C 'a b' fit");
        assert_eq!(quoted("text=code:0.4,law:0.6"), "text=code:0.4,law:0.6");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
