//! Corpora on the Hugging Face hub, from a hub on this machine.

use std::net::TcpListener;
use std::process::Command;

use serde_json::json;

use crate::fixture::{DOMAINS, Fixture, Output, STUDY, assert_output, document};

#[path = "../../../regmix-data/src/hub/loopback.rs"]
mod loopback;
use loopback::{COMMIT, Loopback, TOKEN};

/// A hub with the corpus of [`Fixture::study`], and what comes with a dataset.
fn hub() -> Loopback {
    let texts: Vec<(String, String)> = (DOMAINS.iter().enumerate())
        .map(|(d, domain)| {
            let lines = (0..60).map(|i| document(d, i)).collect();
            (format!("data/train/{domain}-0.jsonl"), lines)
        })
        .collect();
    let mut files: Vec<(&str, &[u8])> = (texts.iter())
        .map(|(name, text)| (name.as_str(), text.as_bytes()))
        .collect();
    files.push((".gitattributes", b"*.jsonl lfs"));
    files.push(("README.md", b"About"));
    files.push(("images/logo.png", &[0; 3000]));
    let hub = Loopback::start(&files);
    hub.set(|state| state.about = json!({"cardData": {"license": "odc-by"}}));
    hub
}

/// The command with this hub and a cache in the fixture.
fn regmix(fixture: &Fixture, address: &str, args: &[&str]) -> Command {
    let mut command = fixture.regmix(args);
    command.env("HF_ENDPOINT", address);
    command.env("HF_HOME", fixture.path("home"));
    command.env_remove("HF_TOKEN");
    command
}

fn run(fixture: &Fixture, hub: &Loopback, args: &[&str]) -> Output {
    Output::of(&mut regmix(fixture, &hub.address, args))
}

#[track_caller]
fn ok(fixture: &Fixture, hub: &Loopback, args: &[&str]) -> Output {
    let output = run(fixture, hub, args);
    assert_eq!(output.code, 0, "{output:?}");
    output
}

#[track_caller]
fn refused(fixture: &Fixture, hub: &Loopback, args: &[&str]) -> Output {
    let output = run(fixture, hub, args);
    output.is_one_error();
    output
}

/// What differs between machines and runs: the address, the folder.
fn shown(output: &Output, fixture: &Fixture, hub: &Loopback) -> String {
    let text = output.to_string().replace(&hub.address, "[HUB]");
    text.replace(&fixture.path("home").display().to_string(), "[HOME]")
}

/// A study whose text is a branch of the hub.
fn study() -> Fixture {
    let fixture = Fixture::empty();
    fixture.write("study.toml", STUDY);
    fixture.edit("study.toml", "path = \"text\"", "path = \"hf://me/data\"");
    fixture
}

/// An address where nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn a_dataset_becomes_a_study_and_a_corpus() {
    let (hub, fixture) = (hub(), Fixture::empty());
    let output = ok(&fixture, &hub, &["init", "--corpus", "hf://me/data"]);
    assert_output!(shown(&output, &fixture, &hub), @r"
    $ regmix init --corpus hf://me/data
    exit code: 0
    ----- stdout -----
    ./study.toml
    ----- stderr -----
    hf://me/data (main is 0123456789ab): 6 files, 18.0 kB; license: odc-by
    to be read: 3 files, 15.0 kB, domains from the names of files (3: code, law, web)
    left alone: 3 files, for example .gitattributes: hidden
    check and edit it, then: regmix tokenize
    ");
    assert_eq!(
        hub.state().requests,
        ["/api/datasets/me/data/revision/main"]
    );
    let text = fixture.text("study.toml");
    let section: Vec<&str> = (text.lines().skip_while(|l| *l != "[corpus]"))
        .take(6)
        .collect();
    assert_output!(section.join("\n"), @r#"
    [corpus]
    # A folder or a file, relative to this file. JSON lines, parquet and text, plain, .gz or .zst.
    path = "hf://me/data@0123456789abcdef0123456789abcdef01234567"  # main when this file was written
    # Beginnings of the names of files to fetch; all that can be read if left out:
    # files = ["README.md", "data/", "images/"]
    # Where the domain of a document is written:
    "#);

    fixture.edit("study.toml", "kind = \"bpe\"", "kind = \"bytes\"");
    fixture.edit("study.toml", "valid_share = 0.05", "valid_share = 0.2");
    let output = ok(&fixture, &hub, &["tokenize"]);
    assert_output!(shown(&output, &fixture, &hub), @r"
    $ regmix tokenize
    exit code: 0
    ----- stdout -----
    domain  documents    MB  tokens  bytes/token
    code           60  0.00    3890         0.98
    law            60  0.01    5090         0.99
    web            60  0.00    3890         0.98

    180 documents, 0.0 MB, 12870 tokens in [SECONDS]: [SPEED] MB/s, [SPEED] tokens/s (0 repeats dropped)
    ----- stderr -----
    hf://me/data (0123456789ab): 6 files, 18.0 kB; license: odc-by
    to be read: 3 files, 15.0 kB, domains from the names of files (3: code, law, web)
    left alone: 3 files, for example .gitattributes: hidden
    fetching 15.0 kB to [HOME]/hub/datasets--me--data/snapshots/0123456789abcdef0123456789abcdef01234567
    fetch           0.0 MB, data/train/web-0.jsonl, 3 of 3 files in [SECONDS]
    read corpus     0.0 MB in [SECONDS]
    tokenize        0.0 MB in [SECONDS]
    3 files are read, domains from the names of files: code 1 train, law 1 train, web 1 train (all in corpus/sources.csv)
    3 files are not read: .gitattributes (hidden), README.md (comes with a corpus, holds no documents), images/logo.png (unknown ending)
    next: regmix design
    ");
    assert_eq!(hub.state().ranges.len(), 3);
    assert_output!(fixture.text("corpus/sources.csv"), @r#"
    file,status,domain,split,documents,kept,note
    .gitattributes,not read,,,,,hidden
    README.md,not read,,,,,"comes with a corpus, holds no documents"
    data/train/code-0.jsonl,read,code,train,60,60,
    data/train/law-0.jsonl,read,law,train,60,60,
    data/train/web-0.jsonl,read,web,train,60,60,
    images/logo.png,not read,,,,,unknown ending
    "#);
    assert!(fixture.text("corpus/inputs.json").contains(COMMIT));

    // The branch may move: the study names the commit, which needs no question.
    let asked = hub.state().requests.len();
    hub.set(|state| state.commit = COMMIT.replace('0', "f"));
    let again = ok(&fixture, &hub, &["tokenize"]);
    again.says("the corpus is tokenized already");
    ok(&fixture, &hub, &["status"]);
    assert_eq!(hub.state().requests.len(), asked);
}

#[test]
fn a_branch_that_moved_is_noticed_before_anything_is_fetched() {
    let (hub, fixture) = (hub(), study());
    ok(&fixture, &hub, &["-q", "tokenize"]);
    let manifest = fixture.read("corpus/manifest.json");
    ok(&fixture, &hub, &["tokenize"]).says("the corpus is tokenized already");
    hub.set(|state| {
        state.commit = COMMIT.replace('0', "f");
        let law = state.files.get_mut("data/train/law-0.jsonl").unwrap();
        law.extend(document(1, 70).bytes());
    });
    let output = refused(&fixture, &hub, &["tokenize"]);
    assert_output!(shown(&output, &fixture, &hub), @r"
    $ regmix tokenize
    exit code: 2
    ----- stderr -----
      × ./corpus/manifest.json: it was made from other inputs (commit was
      │ 0123456789abcdef0123456789abcdef01234567, is f123456789abcdeff123456789abcdeff1234567)
      help: the dataset has changed: make the corpus again with `regmix tokenize --redo`, or leave it,
            as the other steps use the one that is there
    ");
    assert_eq!(hub.state().ranges.len(), 3);
    // What was made from the earlier text is used meanwhile.
    ok(&fixture, &hub, &["-q", "design"]);
    ok(&fixture, &hub, &["-q", "tokenize", "--redo"]);
    assert_ne!(fixture.read("corpus/manifest.json"), manifest);
    // A branch may be asked about only where there is a network.
    let output = Output::of(&mut regmix(&fixture, &nobody(), &["tokenize"]));
    assert_eq!(output.code, 0, "{output:?}");
    output.says("the corpus is used as it is: hf://me/data: the hub at http://127.0.0.1:");
}

#[test]
fn a_commit_in_the_cache_needs_no_network() {
    let (hub, fixture) = (hub(), study());
    fixture.edit("study.toml", "me/data", &format!("me/data@{COMMIT}"));
    let away = |args| Output::of(&mut regmix(&fixture, &nobody(), args));
    let output = away(&["tokenize"]);
    output.is_one_error();
    output.says("cannot be reached: ");
    ok(&fixture, &hub, &["-q", "tokenize"]);
    std::fs::remove_dir_all(fixture.path("corpus")).unwrap();
    let output = away(&["tokenize"]);
    assert_eq!(output.code, 0, "{output:?}");
    output.says("the hub is not there, so the files of 0123456789ab are taken from the cache");
    output.says("all of it is in the cache");
    // One file is lost.
    std::fs::remove_dir_all(fixture.path("corpus")).unwrap();
    let snapshots = "home/hub/datasets--me--data/snapshots";
    let law = format!("{snapshots}/{COMMIT}/data/train/law-0.jsonl");
    std::fs::remove_file(fixture.path(&law)).unwrap();
    let output = away(&["tokenize"]);
    output.is_one_error();
    output.says("cannot be reached: ");
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_was_fetched() {
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    let (hub, fixture) = (hub(), study());
    hub.set(|state| state.stuck = true);
    let mut command = regmix(&fixture, &hub.address, &["-q", "tokenize"]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let child = child.unwrap();
    let begun = Instant::now();
    while hub.state().ranges.is_empty() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    // For the first half to arrive.
    std::thread::sleep(Duration::from_millis(500));
    let mut kill = fixture.command("kill");
    Output::of(kill.args(["-INT", &child.id().to_string()]));
    let sent = Instant::now();
    let output = Output::new(&command, child.wait_with_output().unwrap());
    assert!(sent.elapsed() < Duration::from_secs(15));
    assert_output!(output, @r"
    $ regmix -q tokenize
    exit code: 130
    ----- stderr -----
    stopping; press Ctrl-C again to stop at once
    interrupted by Ctrl-C
    what was fetched is kept; continue with: regmix -q tokenize
    ");

    hub.set(|state| state.stuck = false);
    ok(&fixture, &hub, &["-q", "tokenize"]);
    let half = hub.state().files["data/train/code-0.jsonl"].len() / 2;
    let ranges = hub.state().ranges;
    assert_eq!(ranges[0], ("data/train/code-0.jsonl".to_owned(), 0));
    assert_eq!(ranges[1], ("data/train/code-0.jsonl".to_owned(), half));
    assert_eq!(ranges.len(), 4);
}

#[test]
fn what_the_hub_does_not_give_is_said_at_init() {
    let (hub, fixture) = (hub(), Fixture::empty());
    let init = |corpus| {
        let output = refused(&fixture, &hub, &["-C", "s", "init", "--corpus", corpus]);
        assert!(!fixture.path("s").exists());
        shown(&output, &fixture, &hub)
    };
    assert_output!(init("hf://me/other"), @r"
    $ regmix -C s init --corpus hf://me/other
    exit code: 2
    ----- stderr -----
      × hf://me/other: the hub has no dataset `me/other`, or it is private (HTTP 401)
      help: compare the name with [HUB]/datasets/me/other; if it is private: log in
            with `hf auth login`, or put a token into HF_TOKEN
    ");
    assert_output!(init("hf://me/data@v2"), @r"
    $ regmix -C s init --corpus hf://me/data@v2
    exit code: 2
    ----- stderr -----
      × hf://me/data: `me/data` has no branch, tag or commit `v2` (HTTP 404)
      help: see [HUB]/datasets/me/data/tree/main; without `@` it is the branch `main`
    ");
    assert_output!(init("hf://me/da ta"), @r"
    $ regmix -C s init --corpus hf://me/da ta
    exit code: 2
    ----- stderr -----
      × hf://me/da ta: `me/da ta` is not a dataset, expected `owner/name`
      help: copy the name from the top of its page on the hub
    ");
    let args = ["-C", "s", "init", "--corpus", "hf://me/data"];
    let mut command = regmix(&fixture, "http://127.0.0.1:1", &args);
    assert_output!(Output::of(&mut command), @r"
    $ regmix -C s init --corpus hf://me/data
    exit code: 2
    ----- stderr -----
      × hf://me/data: the hub at http://127.0.0.1:1 cannot be reached: Connection refused (os error
      │ 111)
      help: check the network and `HF_ENDPOINT`; what was fetched is kept
    ");
    // A demo asks as well, before it writes anything.
    let demo = ["demo", "--corpus", "hf://me/other", "--out", "d"];
    refused(&fixture, &hub, &demo).says("the hub has no dataset `me/other`");
    assert!(!fixture.path("d").exists());

    hub.set(|state| state.files.extend([("../evil".to_owned(), b"x".to_vec())]));
    assert_output!(init("hf://me/data"), @r"
    $ regmix -C s init --corpus hf://me/data
    exit code: 2
    ----- stderr -----
      × hf://me/data: the hub lists a file `../evil` in `me/data`, expected a relative path without
      │ `..`
      help: tell the owner of the dataset; files of such names are not fetched
    ");
    hub.set(|state| state.files = [("a.tar.gz".to_owned(), b"x".to_vec())].into());
    let output = ok(&fixture, &hub, &args);
    output.says("nothing can be read as it is: no corpus: no .jsonl");
}

#[test]
fn a_gated_dataset_says_so_and_is_read_with_a_login() {
    let (hub, fixture) = (hub(), study());
    hub.set(|state| state.gated = true);
    let output = ok(
        &fixture,
        &hub,
        &["-C", "s", "init", "--corpus", "hf://me/data"],
    );
    output.says("it is gated: its owner grants access on");
    output.says("log in with `hf auth login`, or put a token into HF_TOKEN");
    let output = refused(&fixture, &hub, &["-q", "tokenize"]);
    assert_output!(shown(&output, &fixture, &hub), @r"
    $ regmix -q tokenize
    exit code: 2
    ----- stderr -----
      × access to `me/data` must be granted by its owner (HTTP 403)
      help: ask for it on [HUB]/datasets/me/data; log in with `hf auth login`, or put
            a token into HF_TOKEN; then run the same command again
    ");
    let mut command = regmix(&fixture, &hub.address, &["-q", "tokenize"]);
    let output = Output::of(command.env("HF_TOKEN", TOKEN));
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn sizes_and_names_that_the_hub_states_are_checked() {
    let (hub, fixture) = (hub(), study());
    hub.set(|state| state.claimed = Some(7));
    let output = run(&fixture, &hub, &["-q", "tokenize"]);
    assert_eq!(output.code, 1, "{output:?}");
    output.says("`data/train/code-0.jsonl` of `me/data` came with 4610 bytes, expected 7");
    output.says("run the same command again; the file was removed from the cache");
    hub.set(|state| state.claimed = None);
    hub.set(|state| {
        let web = state.files.remove("data/train/web-0.jsonl").unwrap();
        state
            .files
            .insert("data/train/C# & C++ 100%-0.jsonl".to_owned(), web);
    });
    fixture.edit(
        "study.toml",
        "[corpus]\n",
        "[corpus]\nfiles = [\"data/trian/\"]\n",
    );
    let output = refused(&fixture, &hub, &["-q", "tokenize"]);
    assert_output!(shown(&output, &fixture, &hub), @r"
    $ regmix -q tokenize
    exit code: 2
    ----- stderr -----
      × no file of `me/data` begins with `data/trian/`
      help: its files begin with README.md, data/, images/
    ");
    fixture.edit("study.toml", "trian", "train");
    ok(&fixture, &hub, &["-q", "tokenize"]);
    assert!(fixture.text("corpus/sources.csv").contains("C# & C++ 100%"));
}
