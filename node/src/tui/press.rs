//! What keys do.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a keyboard has more keys than mean something here"
)]

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::Action;
use super::compose::TooLong;
use super::keys::KEYS;
use super::layout::Pane;
use super::screen::{Screen, text_width};

impl Screen {
    pub(super) fn press(&mut self, key: KeyEvent) -> Action {
        if key.kind == KeyEventKind::Release {
            return Action::Draw;
        }
        self.notice = None;
        self.list.settle();
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'C') if control => return Action::Quit,
            KeyCode::Char('l' | 'L') if control => return Action::DrawAnew,
            KeyCode::F(1) => {
                self.help = self.help.map_or(Some(0), |_| None);
                return Action::Draw;
            }
            _ => {}
        }
        if let Some(row) = self.help {
            self.help = in_help(key.code, row);
            return Action::Draw;
        }
        if !matches!(self.pane, Pane::Compose | Pane::Filter) && !control {
            match key.code {
                KeyCode::Char('q' | 'Q') => return Action::Quit,
                KeyCode::Char('?') => {
                    self.help = Some(0);
                    return Action::Draw;
                }
                KeyCode::Char('/') => {
                    self.pane = Pane::Filter;
                    return Action::Draw;
                }
                _ => {}
            }
        }
        match key.code {
            KeyCode::Tab => self.next_pane(false),
            KeyCode::BackTab => self.next_pane(true),
            KeyCode::PageUp => self.history.scroll_up(self.history.page_rows()),
            KeyCode::PageDown => self.history.scroll_down(self.history.page_rows()),
            _ => match self.pane {
                Pane::Timelines => self.in_list(key.code),
                Pane::Filter => self.in_filter(key.code, control),
                Pane::History => self.in_history(key.code),
                Pane::Compose => self.in_compose(key),
            },
        }
        Action::Draw
    }

    pub(super) fn paste(&mut self, text: &str) {
        self.notice = None;
        if self.pane == Pane::Filter {
            let line = text.lines().next().unwrap_or_default();
            line.chars()
                .for_each(|letter| self.list.filter_push(letter));
        } else if self.pane == Pane::Compose {
            self.write(text);
        }
    }

    fn next_pane(&mut self, back: bool) {
        self.pane = match (self.pane, back) {
            (Pane::Timelines | Pane::Filter, false) | (Pane::Compose, true) => Pane::History,
            (Pane::History, false) | (Pane::Timelines | Pane::Filter, true) => Pane::Compose,
            (Pane::Compose, false) | (Pane::History, true) => Pane::Timelines,
        };
    }

    fn in_list(&mut self, key: KeyCode) {
        match key {
            KeyCode::Up => self.list.step(-1),
            KeyCode::Down => self.list.step(1),
            KeyCode::Home => self.list.step(isize::MIN),
            KeyCode::End => self.list.step(isize::MAX),
            KeyCode::Enter if self.list.chosen().is_some() => self.pane = Pane::Compose,
            KeyCode::Esc => self.list.filter_clear(),
            _ => {}
        }
    }

    fn in_filter(&mut self, key: KeyCode, control: bool) {
        match key {
            KeyCode::Char(letter) if !control => self.list.filter_push(letter),
            KeyCode::Backspace => self.list.filter_pop(),
            KeyCode::Char('h' | 'H') => self.list.filter_pop(),
            KeyCode::Up => self.list.step(-1),
            KeyCode::Down => self.list.step(1),
            KeyCode::Enter if self.list.shown().next().is_some() => {
                self.list.filter_clear();
                self.pane = Pane::Compose;
            }
            KeyCode::Esc => {
                self.list.filter_clear();
                self.pane = Pane::Timelines;
            }
            _ => {}
        }
    }

    fn in_history(&mut self, key: KeyCode) {
        match key {
            KeyCode::Up => self.history.scroll_up(1),
            KeyCode::Down => self.history.scroll_down(1),
            KeyCode::Home => self.history.go_to_first(),
            KeyCode::End => self.history.go_to_end(),
            KeyCode::Enter if self.list.chosen().is_some() => self.pane = Pane::Compose,
            KeyCode::Esc => self.pane = Pane::Timelines,
            _ => {}
        }
    }

    fn in_compose(&mut self, key: KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Enter if alt || control => self.write("\n"),
            KeyCode::Char('j' | 'J') if control => self.write("\n"),
            KeyCode::Enter => self.send(),
            KeyCode::Esc => self.pane = Pane::Timelines,
            // What the key Backspace of some terminals says.
            KeyCode::Char('h' | 'H') if control => self.in_draft(KeyCode::Backspace),
            // Alt and Ctrl together are AltGr, which writes letters.
            KeyCode::Char(letter) if control == alt => {
                self.write(letter.encode_utf8(&mut [0; 4]));
            }
            code => self.in_draft(code),
        }
    }

    /// Keys that need a text.
    fn in_draft(&mut self, key: KeyCode) {
        let width = text_width(self.areas().compose);
        let Some(id) = self.list.chosen_id().map(str::to_owned) else {
            return;
        };
        let Some(draft) = self.drafts.get_mut(&id) else {
            return;
        };
        match key {
            KeyCode::Backspace => draft.backspace(),
            KeyCode::Delete => draft.delete(),
            KeyCode::Left => draft.left(),
            KeyCode::Right => draft.right(),
            KeyCode::Home => draft.home(),
            KeyCode::End => draft.end(),
            KeyCode::Up => drop(draft.step(false, width)),
            KeyCode::Down => drop(draft.step(true, width)),
            _ => {}
        }
        if draft.text().is_empty() {
            self.drafts.remove(&id);
        }
    }

    fn write(&mut self, text: &str) {
        let Some(id) = self.list.chosen_id().map(str::to_owned) else {
            return self.warn("there is no timeline to write in".to_owned());
        };
        let written = self.drafts.entry(id).or_default().insert(text);
        if written == Err(TooLong) {
            self.warn("a message holds 16 KiB at most; send this one first".to_owned());
        }
    }
}

/// The first row of the list of keys afterwards; `None` closes it.
fn in_help(key: KeyCode, row: usize) -> Option<usize> {
    match key {
        KeyCode::Up | KeyCode::PageUp => Some(row.saturating_sub(1)),
        KeyCode::Down | KeyCode::PageDown => Some((row + 1).min(KEYS.lines().count() - 1)),
        _ => None,
    }
}
