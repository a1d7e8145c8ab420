//! `opmeter files`: writes the checked-in files that come from code.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::args::FilesArgs;

/// Writes every file below the root and says which changed.
pub fn write(args: &FilesArgs) -> Result<ExitCode> {
    for (name, text) in opmeter_boards::files::all()? {
        let path = args.root.join(&name);
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {name}");
    }
    Ok(ExitCode::SUCCESS)
}
