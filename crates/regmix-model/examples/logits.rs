//! Logits of a trained model, for comparison with other programs.
//!
//! ```sh
//! echo "17 4 211" | cargo run --release --example logits -- targets/found-seed1
//! ```
//!
//! The folder is that of a finished run with kept weights, or of a Llama model in Hugging
//! Face's layout. Every line of stdin is a sequence of token ids; every line of stdout is
//! a JSON array with the logits of each token.
#![allow(clippy::print_stdout)]

use std::io::BufRead as _;
use std::path::PathBuf;

use regmix_data::{Error, Result};
use regmix_model::{Device, DeviceSpec, TrainedModel};

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| Error::input("no folder: expected that of a model"))?;
    let model = TrainedModel::open(&folder)?;
    let mut trainer = model.trainer(&Device::open(DeviceSpec::Cpu)?)?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| Error::io("stdin", e))?;
        let tokens = line
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<Vec<u32>, _>>()
            .map_err(|e| Error::input(format!("{line:?}: expected token ids ({e})")))?;
        let logits = trainer.logits(&tokens)?;
        let text = serde_json::to_string(&logits).map_err(|e| Error::failed(e.to_string()))?;
        println!("{text}");
    }
    Ok(())
}
