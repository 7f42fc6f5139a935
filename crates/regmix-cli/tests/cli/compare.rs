//! Methods compared on one study.

use crate::fixture::{Fixture, assert_output};

fn study(section: &str) -> Fixture {
    let fixture = Fixture::study_after("optimize");
    let text = fixture.text("study.toml");
    fixture.write("study.toml", format!("{text}\n{section}"));
    fixture
}

#[test]
fn methods_are_compared_and_nothing_is_trained_twice() {
    let methods = "\"unimax\", \"regmix\", \"dml\", \"bimix\", \"olmix\", \"doremi\", \"mixmin\", \
                   \"regmix_d\", \"regmix_d_online\", \
                   \"odm\", \"ado\"";
    let section = format!(
        "[compare]\nmethods = [{methods}]\nseeds = 2\n[dynamic]\nstages = 1\n[ado]\nwarm_up = 2\nrefit_every = 1\nblock = 1\n"
    );
    let fixture = study(&section);
    fixture.ok(&["target"]);
    let before = fixture.files("targets");
    let compared = fixture.ok(&["compare", "--format", "json"]).json();
    // The targets of the check took part.
    let after = fixture.files("targets");
    assert!(
        before
            .iter()
            .all(|(path, bytes)| path.ends_with("lock") || after[path] == *bytes)
    );
    let all = compared["methods"].as_array().unwrap();
    let names: Vec<&str> = all.iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 14, "{names:?}");
    let of = |name: &str| all.iter().find(|m| m["name"] == name).unwrap();
    assert_eq!(of("uniform")["cost"]["tokens"], 0);
    // Ten proxies of 4 steps of 2 sequences of 16 tokens.
    assert_eq!(of("regmix")["cost"]["tokens"], 10 * 4 * 2 * 16);
    assert_eq!(of("doremi")["cost"]["tokens"], 2 * 4 * 2 * 16);
    let experts = fixture.files("experts");
    assert!(
        experts
            .keys()
            .any(|path| path.ends_with("expert-1/metrics.jsonl")),
        "{experts:?}"
    );
    let domains = of("mixmin")["mixture"].as_object().unwrap().len() as u64;
    assert_eq!(of("mixmin")["cost"]["tokens"], domains * 4 * 2 * 16);
    assert!(of("natural")["over_natural"].is_null());
    assert!(of("odm")["over_natural"]["interval"].is_array());
    let mixtures = fixture.text("compare.csv");
    assert_eq!(mixtures.lines().count(), 1 + 14);
    let text = fixture.text("compare.json");
    let shown = fixture.ok(&["compare"]).stdout;
    assert!(
        shown.contains("over found (95%)") && shown.contains("\nregmix "),
        "{shown}"
    );
    assert_eq!(fixture.text("compare.json"), text);
    fixture.ok(&["report"]);
    assert!(fixture.text("report.html").contains("Methods compared"));
}

#[test]
fn runs_of_methods_with_another_configuration_are_made_again_on_request() {
    let fixture = study("[compare]\nmethods = [\"doremi\", \"mixmin\"]\nseeds = 1\n");
    fixture.ok(&["compare"]);
    fixture.edit("study.toml", "lr = 4e-3", "lr = 5e-3");
    for verb in ["train", "fit", "optimize"] {
        fixture.ok(&[verb, "--redo"]);
    }
    fixture.refused(&["compare"]).says("doremi/reference-1");
    fixture.ok(&["compare", "--redo"]);
    for run in ["doremi/reference-1", "doremi/proxy-1", "experts/expert-1"] {
        assert!(fixture.path(&format!("{run}.old-1/DONE")).exists(), "{run}");
        assert!(fixture.path(&format!("{run}/DONE")).exists(), "{run}");
    }
    // A target has its configuration still where its mixture is the same.
    assert!(!fixture.path("targets/uniform-seed1.old-1").exists());
}

#[test]
fn what_cannot_be_compared_is_named() {
    let fixture = study("[compare]\nmethods = [\"unimax\", \"doremy\"]\n");
    assert_output!(fixture.refused(&["compare"]), @r#"
    $ regmix compare
    exit code: 2
    ----- stderr -----
      × ./study.toml:49: `compare.methods`: unknown method `doremy`
        ╭─[./study.toml:49:1]
     48 │ [compare]
     49 │ methods = ["unimax", "doremy"]
        · ───────────────┬──────────────
        ·                ╰── here
        ╰────
      help: did you mean `doremi`?
    "#);
    fixture.edit("study.toml", "doremy", "at_target");
    assert_output!(fixture.refused(&["compare"]), @r"
    $ regmix compare
    exit code: 2
    ----- stderr -----
      × ./study.toml: `sizes`: the study has one size of proxies
      help: add [sizes] with a [sizes.NAME] or two, then `regmix train` and `regmix fit --redo`; or
            name a fit of your own tables: `--fit DIR`
    ");
    fixture.edit("study.toml", "\"unimax\", \"at_target\"]", "]\nseeds = 1");
    let compared = fixture.ok(&["compare"]);
    assert!(
        compared
            .stderr
            .contains("one seed: differences have no interval"),
        "{}",
        compared.stderr
    );
    assert!(
        compared.stdout.contains("with one seed no difference"),
        "{}",
        compared.stdout
    );
    fixture.edit("study.toml", "seeds = 1", "seeds = 0");
    assert_output!(fixture.refused(&["status"]), @r"
    $ regmix status
    exit code: 2
    ----- stderr -----
      × ./study.toml:50: `compare.seeds`: 0: expected 1 to 1000
        ╭─[./study.toml:50:1]
     49 │ methods = []
     50 │ seeds = 0
        · ────┬────
        ·     ╰── here
        ╰────
    ");
}

/// A study of as many proxies as three rounds need.
fn fourteen(section: &str) -> Fixture {
    let fixture = Fixture::study();
    fixture.edit("study.toml", "runs = 10", "runs = 14");
    for verb in ["tokenize", "design", "train", "fit", "optimize"] {
        fixture.ok(&[verb]);
    }
    let text = fixture.text("study.toml");
    fixture.write("study.toml", format!("{text}\n{section}"));
    fixture
}

#[test]
fn climb_trains_rounds_of_its_own_and_draws_them_once() {
    let fixture =
        fourteen("[compare]\nmethods = [\"climb\"]\nseeds = 1\n[constraints.cap]\nlaw = 0.6\n");
    fixture.ok(&["optimize", "--redo"]);
    let compared = fixture.ok(&["compare", "--format", "json"]).json();
    let of = |json: &serde_json::Value| {
        let all = json["methods"].as_array().unwrap();
        all.iter().find(|m| m["name"] == "climb").unwrap().clone()
    };
    let climb = of(&compared);
    // Eight proxies of the study, four and two of its own: 4 steps of 2 sequences of 16 tokens.
    assert_eq!(climb["cost"]["tokens"], 14 * 4 * 2 * 16);
    assert!(climb["mixture"]["law"].as_f64().unwrap() < 0.6 + 1e-9);
    let drawn = [2, 3].map(|round| fixture.text(&format!("climb/mixtures/round-{round}.csv")));
    assert_eq!(drawn.each_ref().map(|table| table.lines().count()), [5, 3]);
    assert!(drawn[1].contains("\nround-3-0002,"), "{}", drawn[1]);
    for run in ["round-2-0001", "round-2-0004", "round-3-0002"] {
        assert!(fixture.path(&format!("climb/{run}/DONE")).exists(), "{run}");
    }
    // Nothing is drawn or trained twice.
    let before = fixture.files("climb");
    assert_eq!(
        of(&fixture.ok(&["compare", "--format", "json"]).json()),
        climb
    );
    assert_eq!(fixture.files("climb"), before);

    // Its proxies and targets are listed where one fails.
    for run in ["climb/round-3-0002", "targets/climb-seed1"] {
        fixture.fail(run, "diverged at step 3: loss NaN");
    }
    let listed = fixture.ok(&["status", "--runs"]).stdout;
    for run in [
        "climb/round-2-0001",
        "climb/round-3-0002",
        "targets/climb-seed1",
    ] {
        assert_eq!(listed.matches(run).count(), 1, "{listed}");
    }
    assert!(!listed.contains("climb/mixtures"), "{listed}");
    let status = fixture.ok(&["status"]).stdout;
    let remedy = "help: `regmix retry round-3-0002`, then `regmix compare`";
    assert!(status.contains(remedy), "{status}");
    let retried = fixture.ok(&["retry", "round-3-0002", "climb-seed1"]);
    retried.says("next: regmix compare");
    let again = of(&fixture.ok(&["compare", "--format", "json"]).json());
    assert_eq!(
        (&again["mixture"], &again["losses"]),
        (&climb["mixture"], &climb["losses"])
    );

    // Mixtures that were drawn within other limits are not used.
    fixture.edit("study.toml", "law = 0.6", "law = 0.5");
    fixture.ok(&["optimize", "--redo"]);
    let stale = fixture.refused(&["compare"]);
    stale.says("climb/mixtures/round-2.csv: it was made from other inputs (constraints.cap was");
    stale.says("make it again with `regmix compare --redo`");
    fixture.ok(&["compare", "--redo"]);
    assert_ne!(fixture.text("climb/mixtures/round-2.csv"), drawn[0]);
    let runs = std::fs::read_dir(fixture.path("climb")).unwrap();
    let runs = runs.map(|run| run.unwrap().file_name().into_string().unwrap());
    let is_old = |run: &String| run.starts_with("round-2-") && run.ends_with(".old-1");
    assert!(runs.collect::<Vec<_>>().iter().any(is_old));
}

#[test]
fn what_a_method_lacks_is_named_before_anything_is_trained() {
    let fixture = study("[compare]\nmethods = [\"doremi\", \"climb\"]\n");
    assert_output!(fixture.refused(&["compare"]), @r#"
    $ regmix compare
    exit code: 2
    ----- stderr -----
      × ./study.toml:49: `compare.methods`: `climb` shares the proxies of the study out over three
      │ rounds, and there are 10 on one mixture that are finished: expected at least 14
        ╭─[./study.toml:49:1]
     48 │ [compare]
     49 │ methods = ["doremi", "climb"]
        · ──────────────┬──────────────
        ·               ╰── here
        ╰────
      help: add proxies (`regmix design --next N`), or leave the method out
    "#);
    // Nor is anything trained where the target is too short for a method.
    fixture.edit("study.toml", "\"climb\"", "\"aioli\"");
    let short = fixture.refused(&["compare"]);
    short.says("`aioli.rounds`: a run of 6 steps: expected at least 14");
}

#[test]
fn utilimax_is_compared_where_its_utilities_are_named() {
    let fixture = study("[compare]\nmethods = [\"utilimax\"]\nseeds = 1\n");
    assert_output!(fixture.refused(&["compare"]), @r#"
    $ regmix compare
    exit code: 2
    ----- stderr -----
      × ./study.toml:49: `compare.methods`: `utilimax` needs utilities of the domains for tasks
        ╭─[./study.toml:49:1]
     48 │ [compare]
     49 │ methods = ["utilimax"]
        · ───────────┬──────────
        ·            ╰── here
     50 │ seeds = 1
        ╰────
      help: name a table with a row `domain,<task>...` for every domain: `utilities` in [compare], or
            `regmix mixtures --utilities CSV`
    "#);
    fixture.edit(
        "study.toml",
        "seeds = 1\n",
        "seeds = 1\nutilities = \"u.csv\"\n",
    );
    fixture.refused(&["compare"]).says("./u.csv");
    fixture.write("u.csv", "domain,quiz\nlaw,1\nweb,3\ncode,2\n");
    let compared = fixture.ok(&["compare", "--format", "json"]).json();
    let all = compared["methods"].as_array().unwrap();
    let own = all.iter().find(|m| m["name"] == "utilimax").unwrap();
    assert_eq!(own["cost"]["tokens"], 0);
    let weight = |domain: &str| own["mixture"][domain].as_f64().unwrap();
    assert!(
        weight("web") > weight("code") && weight("code") > weight("law"),
        "{own}"
    );
}
