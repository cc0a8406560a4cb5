//! The keys, as a list for people: `?` shows it, and so do `khlong tui --help` and the manual.

/// Each line is a key and what it does.
pub const KEYS: &str = "\
Keys:
  Tab, Shift+Tab    next or previous pane: timelines, history, text
  Up, Down          choose a timeline; scroll; move in the text
  PgUp, PgDn        scroll the history by a screen, also while you write
  Home, End         first or newest message; in the text, start or end of the line
  Enter             write in the chosen timeline; send what is written
  Alt+Enter, Ctrl+J new line in the text
  Backspace, Delete remove a whole letter with its marks
  /                 find a timeline: Enter goes there, Tab keeps the list short, Esc ends it
  Esc               back
  Ctrl+L            draw the screen anew
  ?, F1             show or hide these keys (while you write: F1)
  q, Ctrl+C         quit (while you write: Ctrl+C)

What you write is kept for each timeline until you send it. A timeline counts as read, and
others are told, when you are in its history or its text and see the newest message.
Times are those of the time zone of this machine.";
