use super::*;

fn parse(text: &str) -> Result<StudyConfig> {
    StudyConfig::parse(text, Path::new("study.toml"))
}

#[test]
fn the_template_says_what_the_defaults_are() {
    let text = template("my \"study\"", Path::new("da\\ta"));
    let mut config = parse(&text).unwrap();
    assert_eq!(config.study.name, "my \"study\"");
    assert_eq!(config.corpus.path, Path::new("da\\ta"));
    config.study.name = "study".into();
    let bare = parse("[corpus]\npath = 'da\\ta'\n").unwrap();
    assert_eq!(config, bare);
}

#[test]
fn every_key_of_the_template_is_explained() {
    let text = template("x", Path::new("x"));
    let mut before = "";
    for line in text.lines() {
        let key = line.contains('=') && !line.starts_with('#');
        assert!(
            !key || line.contains('#') || before.starts_with('#'),
            "no comment for {line}"
        );
        before = line;
    }
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_one() {
    let err = parse("[corpus]\npath = 'x'\n[proxy]\npreset = 'nano'\nstep = 3\n").unwrap_err();
    assert_eq!(err.line_number(), Some(5));
    assert_eq!(err.help_text(), Some("did you mean `steps`?"));
    let err = parse("[corpse]\npath = 'x'\n").unwrap_err();
    assert!(err.help_text().unwrap().contains("`corpus`"), "{err:?}");
    let err = parse("[corpus]\npath = 'x'\nzzzzzzzzzzzz = 1\n").unwrap_err();
    assert!(err.help_text().unwrap().contains("template"), "{err:?}");
}

#[test]
fn values_out_of_range_are_placed() {
    let err = parse("[corpus]\npath = 'x'\n[design]\nruns = 0\n").unwrap_err();
    assert_eq!(
        err.to_string(),
        "study.toml:4: `design.runs`: out of range, expected 1 to 100000"
    );
    for key in ["max_epochs", "target_tokens"] {
        for value in ["inf", "nan", "0.0"] {
            let err = parse(&format!(
                "[corpus]\npath = 'x'\n[constraints]\n{key} = {value}\n"
            ));
            assert_eq!(
                err.unwrap_err().to_string(),
                format!(
                    "study.toml:4: `constraints.{key}`: out of range, expected a finite number \
                     above 0"
                )
            );
        }
    }
    let err = parse("[corpus]\npath = 'x'\n[check]\nagainst = ['doremi']\n").unwrap_err();
    assert!(
        err.to_string().contains("unknown mixture `doremi`"),
        "{err}"
    );
    let mut text = template("x", Path::new("x"));
    text = text.replacen("lr = 4e-3", "lr = -1.0", 1);
    let err = parse(&text).unwrap_err();
    assert!(err.to_string().contains("`proxy.lr`: -1"), "{err}");
    assert!(err.byte_span().is_some());
}
