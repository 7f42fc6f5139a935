//! Tables with a row for every domain.

use super::{Folder, select};

#[test]
fn a_row_for_every_domain_is_a_target_for_every_domain() {
    let text = "\
run,step,domain,loss
a,10,web,4.5
a,10,code,3.5
a,20,web,4.0
a,20,code,3.0
b,20,web,4.25
b,20,code,2.75
";
    let folder = Folder::new().with("long.csv", text);
    let out = folder.import(&select(&["loss"], &[])).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web,code\na,4,3\nb,4.25,2.75\n");
    assert_eq!(out.trajectories[0].1[0].values, [4.5, 3.5]);
    assert!(out.skipped.is_empty(), "{:?}", out.skipped);
    let note = "long.csv: runs have several rows at a step, which differ in `domain`: every one is \
                a target";
    assert!(out.notes[0].ends_with(note), "{:?}", out.notes);
}

#[test]
fn rows_of_domains_need_no_steps_and_may_have_several_numbers() {
    let text = "run,Task,acc,loss\na,arc,0.5,2\na,piqa,0.75,3\nb,arc,0.25,4\nb,piqa,0.5,5\n";
    let folder = Folder::new().with("long.csv", text);
    let out = folder.import(&select(&["acc", "loss"], &[])).unwrap();
    assert_eq!(
        out.losses.to_csv(),
        "run,arc/acc,arc/loss,piqa/acc,piqa/loss\na,0.5,2,0.75,3\nb,0.25,4,0.5,5\n"
    );
    // The same domain again is a second measurement, without a step to tell which is later.
    let folder = Folder::new().with("long.csv", format!("{text}b,piqa,1,1\n"));
    assert_eq!(
        folder.refused(&select(&["acc", "loss"], &[])),
        "long.csv: 3 rows of run `b` and no column of steps: expected one row, or steps"
    );
}

#[test]
fn text_that_is_the_same_at_a_step_is_part_of_no_name() {
    let text = "run,step,dataset,loss/web\na,1,pile,4\na,2,pile,3\nb,1,c4,5\nb,2,c4,4.5\n";
    let folder = Folder::new().with("h.csv", text);
    let out = folder.import(&select(&["loss/*"], &[])).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web\na,3\nb,4.5\n");
    assert_eq!(out.skipped, ["dataset"]);
    assert!(out.notes.is_empty(), "{:?}", out.notes);
    // Numbers of such a column are settings, also where a step was logged twice.
    let text = "run,step,target,loss/web\na,1,0.5,4\na,1,0.25,3.5\n";
    let folder = Folder::new().with("h.csv", text);
    let out = folder.import(&select(&["loss/*"], &[])).unwrap();
    assert_eq!(out.losses.to_csv(), "run,web\na,3.5\n");
    // Domains may have numbers.
    let text = "run,step,domain,loss\na,1,0,4\na,1,1,3.5\n";
    let folder = Folder::new().with("h.csv", text);
    let out = folder.import(&select(&["loss"], &[])).unwrap();
    assert_eq!(out.losses.to_csv(), "run,0,1\na,4,3.5\n");
}
