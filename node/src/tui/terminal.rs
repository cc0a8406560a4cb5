//! The terminal of the process: taken, and always given back as it was.

use std::io::{self, IsTerminal as _, Stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor;
use ratatui::crossterm::event::{self, DisableBracketedPaste, EnableBracketedPaste, Event};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    self, DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen,
};
use tokio::sync::mpsc;

use super::Input;
use super::backend::Careful;
use super::draw::draw;
use super::screen::Screen;

/// Inputs that wait for a busy program; then the terminal waits.
const INPUTS_MAX: usize = 256;

/// Between two looks whether the program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whether the terminal is ours: a fact about the process, as its terminal is.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal while it is ours. Dropping it gives it back, and so does a panic of any
/// thread, before it is told.
#[derive(Debug)]
pub struct Terminal {
    inner: ratatui::Terminal<Careful<CrosstermBackend<Stdout>>>,
}

/// Whether a person sits in front of both standard input and output, at something that can
/// move its cursor.
#[must_use]
pub fn is_there() -> bool {
    let is_dumb = std::env::var_os("TERM").is_some_and(|name| name == "dumb");
    io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb
}

impl Terminal {
    /// Takes the terminal.
    ///
    /// # Errors
    /// What the system said; the terminal is as it was.
    pub fn enter() -> io::Result<Self> {
        restore_before_panics_are_told();
        TAKEN.store(true, Ordering::SeqCst);
        let entered = Self::take();
        if entered.is_err() {
            restore();
        }
        entered
    }

    fn take() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        // Without wrapping, a cell that is wider than we think scrolls nothing.
        execute!(
            io::stdout(),
            EnterAlternateScreen,
            EnableBracketedPaste,
            DisableLineWrap,
            cursor::Hide
        )?;
        let backend = Careful(CrosstermBackend::new(io::stdout()));
        let mut inner = ratatui::Terminal::new(backend)?;
        inner.clear()?;
        Ok(Self { inner })
    }

    /// Shows a state, which is told the size first if that has changed.
    ///
    /// # Errors
    /// What the system said.
    pub fn draw(&mut self, screen: &mut Screen) -> io::Result<()> {
        let size = self.inner.size()?;
        if !screen.has_size(size.width, size.height) {
            screen.handle(Input::Resize(size.width, size.height));
        }
        self.inner.draw(|frame| draw(screen, frame))?;
        Ok(())
    }

    /// The next [`Terminal::draw`] trusts nothing that is on the screen.
    ///
    /// # Errors
    /// What the system said.
    pub fn forget(&mut self) -> io::Result<()> {
        self.inner.clear()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Once; whoever comes first. There is nothing to be done about a failure.
fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(
            io::stdout(),
            EnableLineWrap,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            cursor::Show
        );
        let _ = terminal::disable_raw_mode();
    }
}

/// Else the message would go to a screen that is left at once.
fn restore_before_panics_are_told() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            tell(panic);
        }));
    });
}

/// Whether somebody else has given the terminal back: a thread that panicked.
#[must_use]
pub fn is_lost() -> bool {
    !TAKEN.load(Ordering::SeqCst)
}

/// What a person does at the terminal, read on a thread of its own.
#[derive(Debug)]
pub struct Inputs {
    /// Absent only when it is dropped.
    receiver: Option<mpsc::Receiver<io::Result<Input>>>,
    reader: Option<JoinHandle<()>>,
}

impl Inputs {
    /// Begins to read.
    ///
    /// # Errors
    /// What the system said when it was asked for a thread.
    pub fn read() -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(INPUTS_MAX);
        let reader = std::thread::Builder::new()
            .name("khlong-keys".to_owned())
            .spawn(move || read_until_closed(&sender))?;
        Ok(Self {
            receiver: Some(receiver),
            reader: Some(reader),
        })
    }

    /// The next one; `None` once the terminal is gone. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<io::Result<Input>> {
        self.receiver.as_mut()?.recv().await
    }

    /// One that is there already.
    pub fn ready(&mut self) -> Option<io::Result<Input>> {
        self.receiver.as_mut()?.try_recv().ok()
    }
}

impl Drop for Inputs {
    fn drop(&mut self) {
        // The reader notices within LOOK_EVERY.
        self.receiver = None;
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn read_until_closed(sender: &mpsc::Sender<io::Result<Input>>) {
    while !sender.is_closed() {
        let read = match event::poll(LOOK_EVERY) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        let is_end = read.is_err();
        let input = match read {
            Ok(Event::Key(key)) => Ok(Input::Key(key)),
            Ok(Event::Paste(text)) => Ok(Input::Paste(text)),
            Ok(Event::Resize(width, height)) => Ok(Input::Resize(width, height)),
            Ok(Event::FocusGained | Event::FocusLost | Event::Mouse(_)) => continue,
            Err(error) => Err(error),
        };
        if sender.blocking_send(input).is_err() || is_end {
            return;
        }
    }
}
