//! Mixtures that need no proxies: printed, and as arms of the check.

use crate::fixture::{FIT, Fixture, assert_output};

fn tokenized() -> Fixture {
    let fixture = Fixture::study();
    fixture.ok(&["tokenize"]);
    fixture
}

#[test]
fn all_are_printed_with_their_entropies() {
    let fixture = tokenized();
    assert_output!(fixture.ok(&["mixtures"]), @r"
    $ regmix mixtures
    exit code: 0
    ----- stdout -----
    domain  natural  uniform  temperature:0.5  unimax  shannon_entropy  joint_entropy  conditional_entropy  von_neumann_entropy
    code      29.7%    33.3%            31.5%   33.3%            29.0%          31.4%                35.8%                36.1%
    law       39.4%    33.3%            36.3%   33.3%            35.4%          36.6%                34.3%                33.3%
    web       30.9%    33.3%            32.1%   33.3%            35.6%          32.0%                29.8%                30.6%

    Entropies in nats:
    domain  tokens  Shannon   joint  conditional  von Neumann
    code      3120   2.5935  3.5454       0.9518       0.3172
    law       4140   2.7901  3.7001       0.9101       0.2372
    web       3243   2.7967  3.5662       0.7696       0.1529
    ----- stderr -----
    count tokens    0.01 M tokens in [SECONDS]
    ");
    // Measured once: a record of other entropies would be printed, were it not sealed.
    let record = fixture.text("corpus/entropies.json");
    let first = fixture.ok(&["mixtures", "--format", "json"]);
    fixture.edit("corpus/entropies.json", "\"shannon\": ", "\"shannon\": 1");
    let again = fixture.ok(&["mixtures", "--format", "json"]);
    assert_eq!(first.stdout, again.stdout);
    assert_eq!(fixture.text("corpus/entropies.json"), record);
    let json = first.json();
    assert_eq!(json["mixtures"][0]["name"], "natural");
    assert_eq!(json["entropies"][2]["domain"], "web");
}

#[test]
fn a_table_of_them_can_be_predicted() {
    let fixture = Fixture::study_after("fit");
    let methods = "unimax,conditional_entropy:2,temperature:0";
    fixture.ok(&["mixtures", "--method", methods, "--out", "plain.csv"]);
    let table = fixture.text("plain.csv");
    let names: Vec<&str> = (table.lines())
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert_eq!(
        names,
        ["run", "unimax", "conditional_entropy:2", "temperature:0"]
    );
    let even = format!("temperature:0{}", format!(",{}", 1.0 / 3.0).repeat(3));
    assert_eq!(table.lines().nth(3), Some(&*even));
    let predicted = fixture.ok(&["predict", "--mixtures", "plain.csv"]);
    assert_eq!(predicted.stdout.lines().count(), 4);
    // None of these needs an entropy.
    let quick = fixture.ok(&["mixtures", "--method", "uniform", "--format", "json"]);
    assert_eq!(quick.json()["entropies"], serde_json::json!([]));
    assert_output!(fixture.run(&["mixtures", "--out", "plain.csv"]), @r"
    $ regmix mixtures --out plain.csv
    exit code: 2
    ----- stderr -----
      × plain.csv: it is there already
      help: choose another place with `--out`, or overwrite it with `--redo`
    ");
    fixture.ok(&["mixtures", "--out", "plain.csv", "--redo"]);
}

#[test]
fn utilities_make_a_mixture_within_limits() {
    let fixture = tokenized();
    let text = fixture.text("study.toml");
    fixture.write(
        "study.toml",
        format!("{text}\n[constraints.cap]\nlaw = 0.35\n"),
    );
    let all = "domain,quiz,proofs,programs\nlaw,60,0.9,0.2\nweb,50,0.4,0.1\ncode,10,0.1,0.8\n";
    fixture.write("utilities.csv", all);
    let with = [
        "mixtures",
        "--utilities",
        "utilities.csv",
        "--format",
        "json",
    ];
    let found = fixture.ok(&with).json();
    let made = found["mixtures"].as_array().unwrap();
    let own = made.iter().find(|m| m["name"] == "utilimax").unwrap();
    let weight = |domain: &str| own["mixture"][domain].as_f64().unwrap();
    assert!((weight("law") - 0.35).abs() < 1e-6, "{own}");
    assert!(weight("code") > weight("web"), "{own}");
    assert_output!(fixture.refused(&["mixtures", "--method", "utilimax"]), @r"
    $ regmix mixtures --method utilimax
    exit code: 2
    ----- stderr -----
      × `utilimax` needs utilities of the domains for tasks
      help: name a table with a row `domain,<task>...` for every domain: `utilities` in [compare], or
            `regmix mixtures --utilities CSV`
    ");
    let refused = |table: &str| {
        fixture.write("wrong.csv", table);
        fixture.refused(&[
            "mixtures",
            "--method",
            "utilimax",
            "--utilities",
            "wrong.csv",
        ])
    };
    assert_output!(refused("domain,quiz\nlaw,1\nwbe,2\ncode,1\n"), @r"
    $ regmix mixtures --method utilimax --utilities wrong.csv
    exit code: 2
    ----- stderr -----
      × wrong.csv:3: unknown domain `wbe`: expected one of code, law, web
       ╭─[wrong.csv:3:1]
     2 │ law,1
     3 │ wbe,2
       · ──┬──
       ·   ╰── here
     4 │ code,1
       ╰────
    ");
    assert_output!(refused("domain,quiz\nlaw,1\nweb,\ncode,1\n"), @r"
    $ regmix mixtures --method utilimax --utilities wrong.csv
    exit code: 2
    ----- stderr -----
      × wrong.csv:3: `quiz`: no utility for domain `web`: expected a finite number of at least 0
       ╭─[wrong.csv:3:1]
     2 │ law,1
     3 │ web,
       · ──┬─
       ·   ╰── here
     4 │ code,1
       ╰────
    ");
    assert_output!(refused("domain,quiz\nlaw,1\nweb,2\n"), @r"
    $ regmix mixtures --method utilimax --utilities wrong.csv
    exit code: 2
    ----- stderr -----
      × wrong.csv: no utilities of `code`: expected a row for every domain
    ");
}

#[test]
fn other_names_are_refused_with_those_that_there_are() {
    let fixture = tokenized();
    assert_output!(fixture.refused(&["mixtures", "--method", "entropy"]), @r"
    $ regmix mixtures --method entropy
    exit code: 2
    ----- stderr -----
    error: invalid value 'entropy' for '--method <NAME,...>': unknown mixture `entropy`; expected one of natural, uniform, temperature:POWER, unimax, utilimax, shannon_entropy, joint_entropy, conditional_entropy, von_neumann_entropy, pile:human, pile:doremi, pile:regmix

    For more information, try '--help'.
    ");
    assert_output!(fixture.refused(&["mixtures", "--method", "temperature:cold"]), @r"
    $ regmix mixtures --method temperature:cold
    exit code: 2
    ----- stderr -----
    error: invalid value 'temperature:cold' for '--method <NAME,...>': `temperature:cold`: expected a power of 0 or more after the colon

    For more information, try '--help'.
    ");
    assert_output!(fixture.refused(&["mixtures", "--method", "pile:human"]), @r"
    $ regmix mixtures --method pile:human
    exit code: 2
    ----- stderr -----
      × `pile:human` has no weight for domain `code`: expected domains of the Pile
      help: it has weights for arxiv, bookcorpus2, books3, dmmathematics, enronemails, europarl,
            freelaw, github, gutenbergpg19, hackernews, nihexporter, opensubtitles, openwebtext2,
            philpapers, pilecc, pubmedabstracts, pubmedcentral, stackexchange, ubuntuirc,
            usptobackgrounds, wikipediaen, youtubesubtitles
    ");
    assert_output!(Fixture::study().refused(&["mixtures"]), @r"
    $ regmix mixtures
    exit code: 2
    ----- stderr -----
      × ./corpus/manifest.json: the corpus is not tokenized
      help: run `regmix tokenize` first
    ");
    assert_output!(fixture.refused(&["mixtures", "--method", "uniform,uniform", "--out", "p.csv"]), @r"
    $ regmix mixtures --method uniform,uniform --out p.csv
    exit code: 2
    ----- stderr -----
      × `--method`: duplicate `uniform`: expected every name once
    ");
}

#[test]
fn targets_are_trained_on_them() {
    let fixture = Fixture::study_after("optimize");
    fixture.edit(
        "study.toml",
        "seeds = 2",
        "seeds = 1\nagainst = [\"natural\", \"joint_entropy:2\"]\n\
         [check.others]\nplain = \"von_neumann_entropy\"",
    );
    let check = fixture.ok(&["target", "--format", "json"]).json();
    let arms = check["arms"].as_array().unwrap();
    let names: Vec<&str> = arms.iter().map(|a| a["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["found", "natural", "joint_entropy:2", "plain"]);
    assert!(arms[2]["predicted"].is_number() && arms[3]["predicted"].is_null());
    let run = fixture.text("targets/joint_entropy-2-seed1/run.toml");
    let made = [
        "mixtures",
        "--method",
        "joint_entropy:2",
        "--format",
        "json",
    ];
    let made = fixture.ok(&made).json();
    let weight = made["mixtures"][0]["mixture"]["web"].as_f64().unwrap();
    assert!(run.contains(&format!("web = {weight}\n")), "{run}");
    assert!(
        fixture
            .ok(&["status"])
            .stdout
            .contains("targets   4 of 4 finished")
    );
    fixture.ok(&["report"]);
    assert!(fixture.text("report.html").contains("joint_entropy:2"));
}

#[test]
fn arms_that_are_none_are_refused_in_the_study_file() {
    let fixture = tokenized();
    let refused = |against: &str| {
        let text = fixture.text("study.toml");
        fixture.edit(
            "study.toml",
            "seeds = 2",
            &format!("seeds = 2\nagainst = {against}"),
        );
        let output = fixture.refused(&["status"]);
        fixture.write("study.toml", text);
        output
    };
    assert_output!(refused("[\"neutral\"]"), @r#"
    $ regmix status
    exit code: 2
    ----- stderr -----
      × ./study.toml:47: `check.against`: unknown mixture `neutral`
        ╭─[./study.toml:47:1]
     46 │ seeds = 2
     47 │ against = ["neutral"]
        · ──────────┬──────────
        ·           ╰── here
        ╰────
      help: expected best_observed or one of natural, uniform, temperature:POWER, unimax, utilimax,
            shannon_entropy, joint_entropy, conditional_entropy, von_neumann_entropy, pile:human,
            pile:doremi, pile:regmix
    "#);
    assert_output!(refused("[\"natural\", \"unimax\", \"natural\"]"), @r#"
    $ regmix status
    exit code: 2
    ----- stderr -----
      × ./study.toml:47: `check.against`: `natural` and `natural` are trained in one folder: expected
      │ every mixture once
        ╭─[./study.toml:47:1]
     46 │ seeds = 2
     47 │ against = ["natural", "unimax", "natural"]
        · ─────────────────────┬────────────────────
        ·                      ╰── here
        ╰────
    "#);
    // The Pile's mixtures are over its domains: known when the corpus is.
    let fixture = Fixture::study_after("optimize");
    fixture.edit(
        "study.toml",
        "seeds = 2",
        "seeds = 1\nagainst = [\"pile:human\"]",
    );
    assert_output!(fixture.refused(&["target"]), @r#"
    $ regmix target
    exit code: 2
    ----- stderr -----
      × ./study.toml:47: `check.against`: `pile:human` has no weight for domain `code`: expected
      │ domains of the Pile
        ╭─[./study.toml:47:1]
     46 │ seeds = 1
     47 │ against = ["pile:human"]
        · ────────────┬───────────
        ·             ╰── here
        ╰────
      help: it has weights for arxiv, bookcorpus2, books3, dmmathematics, enronemails, europarl,
            freelaw, github, gutenbergpg19, hackernews, nihexporter, opensubtitles, openwebtext2,
            philpapers, pilecc, pubmedabstracts, pubmedcentral, stackexchange, ubuntuirc,
            usptobackgrounds, wikipediaen, youtubesubtitles
    "#);
    fixture.edit(
        "study.toml",
        "against = [\"pile:human\"]",
        "against = []\n[check.others]\nplain = \"joint\"",
    );
    assert_output!(fixture.refused(&["target"]), @r#"
    $ regmix target
    exit code: 2
    ----- stderr -----
      × ./study.toml:49: `check.others.plain`: unknown mixture `joint`
        ╭─[./study.toml:49:1]
     48 │ [check.others]
     49 │ plain = "joint"
        · ───────┬───────
        ·        ╰── here
        ╰────
      help: expected a .csv or .json file, or one of natural, uniform, temperature:POWER, unimax,
            utilimax, shannon_entropy, joint_entropy, conditional_entropy, von_neumann_entropy,
            pile:human, pile:doremi, pile:regmix
    "#);
}

#[test]
fn a_search_starts_from_a_published_mixture() {
    let fixture = Fixture::empty();
    let rows: Vec<[f64; 2]> = (0..12)
        .map(|i| [f64::from(i) / 11.0, 1.0 - f64::from(i) / 11.0])
        .collect();
    let mut mixtures = "run,pile_cc,github\n".to_owned();
    let mut losses = "run,web\n".to_owned();
    for (i, [a, b]) in rows.iter().enumerate() {
        mixtures.push_str(&format!("r{i},{a},{b}\n"));
        losses.push_str(&format!("r{i},{}\n", 3.0 - a + a * a));
    }
    fixture.write("m.csv", mixtures);
    fixture.write("l.csv", losses);
    fixture.ok(&FIT);
    let search = |prior: &str| {
        let args = [
            "optimize", "--fit", "fit", "--prior", prior, "--out", "m.json", "--redo",
        ];
        fixture.run(&[&args[..], &["--format", "json"]].concat())
    };
    let found = search("pile:human").json();
    let natural = found["weights"][0]["natural"].as_f64().unwrap();
    assert!(
        (natural - 0.1121 / (0.1121 + 0.0427)).abs() < 1e-9,
        "{found}"
    );
    assert_eq!(search("uniform").json()["weights"][0]["natural"], 0.5);
    assert_output!(search("unimax"), @r"
    $ regmix optimize --fit fit --prior unimax --out m.json --redo --format json
    exit code: 2
    ----- stderr -----
      × `--prior`: `unimax` is made from the tokens of a corpus, which a fit of tables does not have
      help: in a study of the corpus: regmix mixtures --method unimax --out prior.csv; then --prior
            prior.csv
    ");
}
