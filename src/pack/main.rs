//! `opmeter-pack IN OUT`: packs a linked module for delivery.

use anyhow::{Context, Result};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        eprintln!("usage: opmeter-pack <in.wasm> <out.wasm>");
        return ExitCode::from(2);
    };
    match run(Path::new(input), Path::new(output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("opmeter-pack: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(input: &Path, output: &Path) -> Result<()> {
    let module =
        std::fs::read(input).with_context(|| format!("cannot read {}", input.display()))?;
    let packed =
        opmeter_pack::pack(&module).with_context(|| format!("cannot pack {}", input.display()))?;
    if let Some(folder) = output.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    std::fs::write(output, &packed)
        .with_context(|| format!("cannot write {}", output.display()))?;
    println!("{}: {} bytes, was {}", output.display(), packed.len(), module.len());
    Ok(())
}
