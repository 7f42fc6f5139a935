//! The `regmix` command, run as a user runs it: arguments in, files, output
//! and exit code out.

mod approximate;
mod bad_corpus;
mod bad_runs;
mod bad_shards;
mod bad_study;
mod bad_tables;
mod compare;
mod continued;
mod corpora;
mod devices;
mod doremi;
mod dry_run;
mod earlier;
mod earlier_results;
mod errors;
mod eval;
mod export;
mod fixture;
mod help;
#[cfg(feature = "hub")]
mod hub;
mod import;
#[cfg(unix)]
mod interrupt;
mod killed;
#[cfg(unix)]
mod launch;
#[cfg(unix)]
mod local_workers;
mod logs;
mod match_epochs;
mod metrics;
mod models;
mod others;
mod own_designs;
mod own_schedules;
mod peers;
mod plain_mixtures;
mod pool;
mod progress;
mod published;
mod scale;
mod schedule;
mod sizes;
mod staleness;
mod study;
mod study_eval;
mod table_fits;
mod table_report;
#[cfg(unix)]
mod unwritable;
#[cfg(not(feature = "hub"))]
mod without_hub;
mod workers;
