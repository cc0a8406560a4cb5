//! A terminal: a pseudo-terminal of the system, with an emulator that reads what comes.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use crate::node::Running;

/// Before a test gives up on a screen that does not come.
const GIVE_UP: Duration = Duration::from_secs(60);

/// A word to the terminal itself, which shows nothing.
const LAST: &[u8] = b"\x1b]9;the test has seen the end\x07";

pub(crate) struct Pty {
    keyboard: File,
    output: Receiver<Vec<u8>>,
    /// Held, so that its settings can be read when the program has ended.
    terminal: OwnedFd,
    settings: String,
    parser: vt100::Parser,
    all: Vec<u8>,
    program: Running,
}

impl Pty {
    /// Starts a program in a terminal of this size.
    pub(crate) fn start(mut command: Command, columns: u16, rows: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let terminal = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        let side = || Stdio::from(terminal.try_clone().unwrap());
        let settings = settings_of(&terminal);
        let program = command
            .env("TERM", "xterm-256color")
            .env("TZ", "UTC")
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap();
        let keyboard = File::from(master);
        let mut screen = keyboard.try_clone().unwrap();
        let (sender, output) = sync_channel(64);
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(count) = screen.read(&mut bytes) {
                if count == 0 || sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            keyboard,
            output,
            terminal,
            settings,
            parser: vt100::Parser::new(rows, columns, 0),
            all: Vec::new(),
            program: Running(program),
        }
    }

    /// What a keyboard sends.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn contents(&self) -> String {
        self.parser.screen().contents()
    }

    /// Reads until a text is on the screen.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let begun = Instant::now();
        while !self.contents().contains(text) {
            let is_over = !self.read() && self.has_ended();
            if is_over {
                self.read_rest();
            }
            assert!(
                !is_over && begun.elapsed() < GIVE_UP || self.contents().contains(text),
                "{text} does not come:\n{}",
                self.contents()
            );
        }
    }

    /// What has come since; whether anything has.
    fn read(&mut self) -> bool {
        match self.output.recv_timeout(Duration::from_millis(100)) {
            Ok(bytes) => {
                self.parser.process(&bytes);
                self.all.extend(bytes);
                true
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => false,
        }
    }

    fn has_ended(&mut self) -> bool {
        self.program.0.try_wait().unwrap().is_some()
    }

    /// What the program said before it ended, all of it: this writes into the terminal too, and
    /// reads until that comes.
    fn read_rest(&mut self) {
        let mut terminal = File::from(self.terminal.try_clone().unwrap());
        terminal.write_all(LAST).unwrap();
        let begun = Instant::now();
        while !self.all.ends_with(LAST) {
            self.read();
            assert!(begun.elapsed() < GIVE_UP, "no end:\n{}", self.contents());
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.program.0.id()
    }

    /// Waits for the end. The terminal must be as it was; the exit code, and what stands on
    /// the ordinary screen.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        while !self.has_ended() {
            self.read();
            assert!(begun.elapsed() < GIVE_UP, "no end:\n{}", self.contents());
        }
        self.read_rest();
        let code = self.program.0.wait().unwrap().code();
        let screen = self.parser.screen();
        let shown = screen.contents();
        assert!(!screen.alternate_screen(), "{shown}");
        assert!(!screen.hide_cursor(), "{shown}");
        assert!(!screen.bracketed_paste(), "{shown}");
        let all = String::from_utf8_lossy(&self.all);
        let (off, on) = (all.rfind("\u{1b}[?7l"), all.rfind("\u{1b}[?7h"));
        assert!(off <= on, "lines do not wrap any more");
        assert_eq!(settings_of(&self.terminal), self.settings);
        (code, shown)
    }
}

fn settings_of(terminal: &OwnedFd) -> String {
    let settings = tcgetattr(terminal).unwrap();
    format!(
        "{:?} {:?} {:?} {:?}",
        settings.input_modes, settings.output_modes, settings.control_modes, settings.local_modes
    )
}
