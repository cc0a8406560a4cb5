//! `khlong tui`: timelines, history and what is being written on one screen.
//!
//! [`Screen`](screen::Screen) is the state: inputs go in, requests to the node and the end
//! come out. It knows neither clock nor terminal nor node; a driver has them
//! (`cli/tui.rs`). [`draw`](draw::draw) shows a state and changes nothing. So tests press
//! keys and read cells without a terminal.
//!
//! Contract: after every [`Screen::handle`](screen::Screen::handle) the driver may call
//! [`Screen::poll_request`](screen::Screen::poll_request); each request that it yields is
//! answered by one [`Input::Answer`] before the next one is yielded.

mod answers;
pub mod backend;
pub mod compose;
pub mod draw;
mod history;
mod keys;
pub mod layout;
mod list;
mod message;
mod paint;
mod press;
pub mod screen;
mod scroll;
pub mod terminal;
pub mod text;

use ratatui::crossterm::event::KeyEvent;

use crate::api::Response;
use crate::node::Heard;

pub use keys::KEYS;

/// What reaches a [`Screen`](screen::Screen).
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted: it sends nothing, whatever line ends it has.
    Paste(String),
    /// The terminal has so many columns and rows.
    Resize(u16, u16),
    /// What the node answered to the request under way.
    Answer(Response),
    /// Something happened on the node.
    Heard(Heard),
    /// Something that a person should know.
    Told(String),
    /// The node went away and is there again; the request under way has no answer.
    Reopened,
    /// Milliseconds since 1970.
    Now(i64),
}

/// What a driver does after an [`Input`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Draw, and go on.
    Draw,
    /// Draw every cell anew: something else may have written on the screen.
    DrawAnew,
    /// The person has enough.
    Quit,
}
