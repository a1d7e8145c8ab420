//! The command in a terminal: a pseudo terminal of the system, and an emulator that knows what a person would see in it.
#![allow(dead_code, reason = "each test binary uses its part")]

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest wait for something to be seen.
const PATIENCE: Duration = Duration::from_secs(60);
const SIZE: PtySize = PtySize { rows: 40, cols: 150, pixel_width: 0, pixel_height: 0 };

/// A terminal in which the command runs.
pub struct Terminal {
    process: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    output: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// The terminal hangs up when it is dropped.
    _master: Box<dyn MasterPty + Send>,
}

impl Terminal {
    /// Starts the command.
    pub fn start(args: &[&str]) -> Self {
        let pair = native_pty_system().openpty(SIZE).expect("a terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_opmeter"));
        command.args(args);
        command.env("TERM", "xterm-256color");
        let process = pair.slave.spawn_command(command).expect("opmeter runs");
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let keyboard = pair.master.take_writer().expect("a keyboard");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The read fails when the process has ended.
            while let Ok(read @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        let screen = vt100::Parser::new(SIZE.rows, SIZE.cols, 0);
        Self { process, keyboard, output, screen, _master: pair.master }
    }

    /// Types.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the keys are taken");
        self.keyboard.flush().expect("the keys are taken");
    }

    /// Waits until the screen is as `wanted`, and returns its text.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.text();
            if wanted(&text) {
                return text;
            }
            assert!(Instant::now() < deadline, "no {what}:\n{text}");
            if let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(100)) {
                self.screen.process(&bytes);
            }
        }
    }

    /// What is on the screen.
    pub fn text(&mut self) -> String {
        for bytes in self.output.try_iter() {
            self.screen.process(&bytes);
        }
        self.screen.screen().contents()
    }

    /// Whether a full-screen view is shown, in place of what was there before.
    pub fn is_full_screen(&mut self) -> bool {
        self.text();
        self.screen.screen().alternate_screen()
    }

    /// Waits until the process has ended; its exit status.
    pub fn end(mut self) -> (u32, Self) {
        let status = self.process.wait().expect("a status").exit_code();
        // What it still wrote.
        while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(200)) {
            self.screen.process(&bytes);
        }
        (status, self)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
    }
}
