//! The command as a process.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod discovered;
pub mod editor;
pub mod envoy;
pub mod sidecar;
pub mod terminal;

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// What a run of it left.
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs it in a folder.
pub fn opmeter(folder: &Path, args: &[impl AsRef<OsStr>]) -> Output {
    with(folder, args, &[])
}

/// Runs it in a folder with variables set.
pub fn with(folder: &Path, args: &[impl AsRef<OsStr>], variables: &[(&str, &str)]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_opmeter"))
        .current_dir(folder)
        .args(args)
        .env_remove("CLICOLOR_FORCE")
        .envs(variables.iter().copied())
        .output()
        .expect("opmeter runs");
    Output {
        code: output.status.code().expect("an exit status"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Compares with a file. OPMETER_BLESS=1 writes the file instead, to be read before it is committed.
#[track_caller]
pub fn golden(file: &Path, text: &str) {
    if std::env::var_os("OPMETER_BLESS").is_some() {
        std::fs::write(file, text).expect("a golden file");
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    assert!(text == expected, "{} is not what was said:\n{text}", file.display());
}
