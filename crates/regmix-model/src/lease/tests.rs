use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use regmix_data::process::Process;

use super::*;

/// Long enough to be alive through a pause of the test's machine.
const LONG: Duration = Duration::from_secs(60);

fn worker(stale_after: Duration) -> Worker {
    Worker::new("cpu", stale_after).unwrap()
}

fn held(claim: Claim) -> Lease {
    match claim {
        Claim::Held(lease) => lease,
        Claim::Busy { by, .. } => panic!("busy: {by:?}"),
    }
}

fn is_busy(worker: &Worker, folder: &Path) -> bool {
    matches!(worker.claim(folder).unwrap(), Claim::Busy { .. })
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A lease of a process of another host, which never beats.
fn foreign(folder: &Path, number: u64, change: impl FnOnce(&mut Content)) -> PathBuf {
    let mut content = Content {
        worker: "0123456789abcdef".to_owned(),
        host: "elsewhere".to_owned(),
        process: "other_7_7".parse::<Process>().ok(),
        device: "cpu".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        since: 0,
        beat_milliseconds: 20,
        beats: FIRST_BEAT,
    };
    change(&mut content);
    let path = folder.join(format!("{PREFIX}{number}"));
    fs::write(&path, content.render().unwrap()).unwrap();
    path
}

/// The time until a worker has a run.
fn time_until_held(worker: &Worker, folder: &Path) -> Duration {
    let began = Instant::now();
    loop {
        if let Claim::Held(_) = worker.claim(folder).unwrap() {
            return began.elapsed();
        }
        assert!(began.elapsed() < LONG, "never taken over");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[allow(clippy::print_stdout)]
#[test]
fn sixteen_workers_take_ten_thousand_runs_once_each() {
    const RUNS: usize = 10_000;
    const WORKERS: usize = 16;
    let dir = tempfile::tempdir().unwrap();
    let runs: Vec<PathBuf> = (0..RUNS).map(|i| dir.path().join(i.to_string())).collect();
    for run in &runs {
        fs::create_dir(run).unwrap();
    }
    let (done, twice) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let worker = worker(LONG);
                for run in &runs {
                    if run.join("DONE").exists() {
                        continue;
                    }
                    let Claim::Held(lease) = worker.claim(run).unwrap() else {
                        continue;
                    };
                    if run.join("DONE").exists() {
                        continue;
                    }
                    // Made by whoever believes to have the run alone.
                    let alone = fs::File::create_new(run.join("alone"));
                    twice.fetch_add(usize::from(alone.is_err()), Ordering::Relaxed);
                    std::thread::yield_now();
                    lease.check().unwrap();
                    fs::remove_file(run.join("alone")).unwrap();
                    fs::File::create_new(run.join("DONE")).unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    println!("{:.0} runs/s with {WORKERS} workers", RUNS as f64 / seconds);
    assert_eq!(twice.into_inner(), 0);
    assert_eq!(done.into_inner(), RUNS);
    for run in &runs {
        assert_eq!(names(run), ["DONE"], "{}", run.display());
    }
    // The aim is 200; a machine that does other things as well is slower.
    assert!(RUNS as f64 / seconds > 100.0, "{seconds} s");
}

#[test]
fn a_lease_keeps_others_away_until_it_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (worker(LONG), worker(LONG));
    let lease = held(one.claim(dir.path()).unwrap());
    let Claim::Busy { by, seen } = two.claim(dir.path()).unwrap() else {
        panic!("taken twice");
    };
    assert!(!seen && by.process == Some(std::process::id()) && !by.is_stale(LONG));
    assert_eq!(by.device, "cpu");
    let now = file_system_time(dir.path());
    assert_eq!(read(dir.path(), now).unwrap().unwrap().owner(), by.owner());
    lease.check().unwrap();
    drop(lease);
    assert!(names(dir.path()).is_empty());
    held(two.claim(dir.path()).unwrap());
    assert_eq!(read(dir.path(), now).unwrap(), None);
}

#[test]
fn beats_are_seen_and_keep_a_lease_alive() {
    let dir = tempfile::tempdir().unwrap();
    let one = worker(Duration::from_millis(600));
    let two = worker(Duration::from_millis(600));
    let lease = held(one.claim(dir.path()).unwrap());
    let began = Instant::now();
    let mut was_seen = false;
    while began.elapsed() < Duration::from_millis(1500) {
        let Claim::Busy { seen, .. } = two.claim(dir.path()).unwrap() else {
            panic!("a living worker lost its run");
        };
        was_seen |= seen;
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(was_seen);
    lease.check().unwrap();
}

#[test]
fn the_run_of_a_silent_worker_is_taken_over_and_the_worker_notices() {
    let dir = tempfile::tempdir().unwrap();
    // It beats every ten seconds at most: to the others it is silent.
    let one = worker(LONG);
    let two = worker(Duration::from_millis(100));
    let sleeping = held(one.claim(dir.path()).unwrap());
    assert!(time_until_held(&two, dir.path()) >= Duration::from_millis(100));
    assert!(!sleeping.is_lost());
    let error = sleeping.check().unwrap_err();
    assert!(error.problem().contains("took this run over"), "{error}");
    assert!(sleeping.is_lost());
    // Also when the other has finished long ago, and a third one begins.
    let again = held(two.claim(dir.path()).unwrap());
    drop(sleeping);
    again.check().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_of_this_host_that_has_ended_is_gone_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let own = Process::this().unwrap().to_string();
    let (world, _) = own.split_once('_').unwrap();
    let ended = format!("{world}_{}_1", std::process::id());
    foreign(dir.path(), 3, |c| c.process = ended.parse().ok());
    let worker = worker(LONG);
    let _lease = held(worker.claim(dir.path()).unwrap());
    assert_eq!(names(dir.path()), ["lease.4"]);
}

#[test]
fn an_old_lease_of_another_host_is_watched_before_it_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = foreign(dir.path(), 0, |c| c.beat_milliseconds = 60);
    let set = |time: SystemTime| {
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(time).unwrap();
    };
    // By its time it is an hour old. The clock that gave it may be wrong.
    set(SystemTime::now() - Duration::from_secs(3600));
    let waited = time_until_held(&worker(LONG), dir.path());
    assert!(
        waited >= Duration::from_millis(180) && waited < LONG / 2,
        "{waited:?}"
    );

    // One of the future is not believed, and not waited for.
    foreign(dir.path(), 0, |c| c.beat_milliseconds = 60);
    set(SystemTime::now() + Duration::from_secs(3600));
    let waited = time_until_held(&worker(Duration::from_millis(300)), dir.path());
    assert!(waited >= Duration::from_millis(300), "{waited:?}");
}

#[test]
fn a_lease_that_cannot_be_understood_is_waited_for() {
    for text in ["", "{\"worker\":", "\0\0\0\0"] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("lease.0"), text).unwrap();
        let worker = worker(Duration::from_millis(150));
        let began = Instant::now();
        assert!(is_busy(&worker, dir.path()));
        time_until_held(&worker, dir.path());
        assert!(began.elapsed() >= Duration::from_millis(150));
        let now = SystemTime::now();
        fs::write(dir.path().join("lease.9"), text).unwrap();
        let info = read(dir.path(), now).unwrap().unwrap();
        assert_eq!(info.owner(), "an unknown worker");
    }
    // Other names are no leases.
    let dir = tempfile::tempdir().unwrap();
    for name in ["lease", "lease.x", "lease.1.tmp", "lease.-1", "DONE"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    held(worker(LONG).claim(dir.path()).unwrap());
}

#[test]
fn another_version_of_regmix_does_not_train_the_same_study() {
    let dir = tempfile::tempdir().unwrap();
    foreign(dir.path(), 0, |c| c.version = "0.0.9".to_owned());
    let error = worker(LONG).claim(dir.path()).unwrap_err();
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(
        error.problem(),
        format!("process 7 on elsewhere trains this run with regmix 0.0.9, this is regmix {own}")
    );
}

#[test]
fn a_lease_that_disappears_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let worker = worker(Duration::from_millis(120));
    let lease = held(worker.claim(dir.path()).unwrap());
    fs::remove_file(dir.path().join("lease.0")).unwrap();
    let began = Instant::now();
    while !lease.is_lost() {
        assert!(began.elapsed() < LONG, "the beats do not notice");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(names(dir.path()).is_empty(), "a beat made the file again");
    assert!(lease.check().is_err());
}

#[test]
fn every_content_has_the_same_length() {
    let content = |beats, host: &str| Content {
        worker: "0123456789abcdef".to_owned(),
        host: host.to_owned(),
        process: None,
        device: "cuda:12".to_owned(),
        version: "10.20.30".to_owned(),
        since: u64::MAX,
        beat_milliseconds: 5000,
        beats,
    };
    let long = "ü\"".repeat(32);
    for host in ["a", &long] {
        let first = content(FIRST_BEAT, host).render().unwrap();
        let later = content(2 * FIRST_BEAT - 1, host).render().unwrap();
        assert_eq!(first.len(), later.len());
        assert!(first.len() <= 2 * LENGTH, "{}", first.len());
        let path = tempfile::NamedTempFile::new().unwrap();
        fs::write(path.path(), &first).unwrap();
        let found = look(0, path.path().to_owned()).unwrap();
        assert_eq!(found.content, Some(content(FIRST_BEAT, host)));
    }
}
