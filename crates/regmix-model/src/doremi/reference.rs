//! The losses of the reference model on the proxy's text.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use regmix_data::{Error, Loader, Place, Result};

use crate::run::Opened;
use crate::trainer::Trainer;

const BYTES: usize = 4;

/// A loss per token of every sequence that the proxy sees, in a file; each
/// sequence once, in the order in which it is first seen.
#[derive(Debug)]
pub(super) struct ReferenceLosses {
    file: File,
    path: PathBuf,
    /// By domain and sequence.
    numbers: HashMap<(usize, u64), u64>,
    context: usize,
}

impl ReferenceLosses {
    /// Opens the file of a run. Losses that it lacks are computed: all of them at
    /// first, the rest where that was interrupted. `fingerprint` names the
    /// reference model; the losses of another one are not used.
    pub(super) fn prepare(
        run: &mut Opened<'_>,
        fingerprint: &str,
        reference: impl FnOnce() -> Result<Trainer>,
    ) -> Result<Self> {
        let context = run.spec.model.context;
        let total = run.spec.train.steps * run.spec.train.batch_size as u64;
        let (numbers, order) = sequences(run.loader, total);
        let name = fingerprint.get(..16).unwrap_or(fingerprint);
        let path = run.folder.join(format!("reference-{name}.f32"));
        let io = |e| Error::io(&path, e);
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false);
        let mut file = file.open(&path).map_err(io)?;
        let row = (context * BYTES) as u64;
        // A half row at the end is computed again.
        let mut done = file.metadata().map_err(io)?.len() / row;
        file.set_len(done.min(order.len() as u64) * row)
            .map_err(io)?;
        done = done.min(order.len() as u64);
        if done < order.len() as u64 {
            run.monitor.message(&format!(
                "run {}: losses of the reference on {} sequences",
                run.spec.run,
                order.len() as u64 - done
            ));
            let mut reference = reference()?;
            file.seek(SeekFrom::End(0)).map_err(io)?;
            let mut tokens = vec![0; run.micro_batch * (context + 1)];
            for part in order[done as usize..].chunks(run.micro_batch) {
                run.monitor.check()?;
                let tokens = &mut tokens[..part.len() * (context + 1)];
                for (&first, tokens) in part.iter().zip(tokens.chunks_exact_mut(context + 1)) {
                    run.loader.copy_sequence(first, tokens)?;
                }
                let losses = reference.token_losses(tokens, run.micro_batch)?;
                let bytes: Vec<u8> = losses.iter().flat_map(|l| l.to_le_bytes()).collect();
                file.write_all(&bytes).map_err(io)?;
            }
            file.sync_data().map_err(io)?;
        }
        Ok(Self {
            file,
            path,
            numbers,
            context,
        })
    }

    /// Losses of some sequences, `context` for each.
    pub(super) fn of(&mut self, places: &[Place]) -> Result<Vec<f32>> {
        let path: &Path = &self.path;
        let io = |e| Error::io(path, e);
        let mut row = vec![0; self.context * BYTES];
        let mut out = Vec::with_capacity(places.len() * self.context);
        for place in places {
            let number = self.numbers.get(&(place.domain, place.sequence));
            let number = number.ok_or_else(|| {
                Error::failed("a sequence that the run was not planned for").in_file(path)
            })?;
            let at = number * row.len() as u64;
            self.file.seek(SeekFrom::Start(at)).map_err(io)?;
            self.file.read_exact(&mut row).map_err(io)?;
            let losses = row.chunks_exact(BYTES);
            out.extend(losses.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        }
        if let Some(loss) = out.iter().find(|loss| !loss.is_finite()) {
            return Err(
                Error::input(format!("a loss of {loss}, expected a finite number"))
                    .in_file(path)
                    .help("move the folder of this run away, and run the same command again"),
            );
        }
        Ok(out)
    }
}

/// The sequences among the first `total`, each once: their numbers by place, and
/// where each is seen first.
fn sequences(loader: &mut Loader, total: u64) -> (HashMap<(usize, u64), u64>, Vec<u64>) {
    let mut numbers = HashMap::new();
    let mut order = Vec::new();
    for i in 0..total {
        let place = loader.place(i);
        numbers
            .entry((place.domain, place.sequence))
            .or_insert_with(|| {
                order.push(i);
                order.len() as u64 - 1
            });
    }
    (numbers, order)
}
