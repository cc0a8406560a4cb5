//! `khlong tui` in a real pseudo-terminal.

use std::process::Command;

use khlong_node::tui::terminal::Terminal;

use crate::node::{Node, text};
use crate::pty::Pty;
use crate::relay::Relay;

const MARKET: &str = "ตลาดริมคลอง";

fn tui(node: &Node) -> Pty {
    let mut command = node.command();
    command.args(["tui", MARKET]);
    Pty::start(command, 100, 30)
}

fn kill(signal: &str, id: u32) {
    let killed = Command::new("kill")
        .args([signal, &id.to_string()])
        .status();
    assert!(killed.unwrap().success());
}

#[test]
fn a_conversation_over_a_relay_and_the_terminal_as_it_was() {
    let relay = Relay::start();
    let (mali, ton) = (relay.node("mali"), relay.node("ton"));
    mali.json(&["timeline", "new", MARKET, "--wait", "stored"]);
    let invite = ["timeline", "invite", MARKET, "--wait", "stored"];
    let link = text(&mali.json(&invite)["link"]);
    ton.json(&["timeline", "join", &link, "--wait", "stored"]);
    ton.json(&["sync"]);

    let mut pty = tui(&mali);
    pty.wait_for("online");
    pty.wait_for("no message yet");
    ton.json(&["send", MARKET, "ที่ท่าน้ำมีปู่ขายปลา", "--wait", "stored"]);
    pty.wait_for("ton: ที่ท่าน้ำมีปู่ขายปลา");
    pty.wait_for("(1)");
    pty.press("\r");
    // To be read: the newest message is seen, and the list counts it no more.
    pty.press("น้ำเต็มคลองแล้ว มาทางเรือนะ");
    pty.wait_for("> น้ำเต็มคลองแล้ว มาทางเรือนะ");
    pty.press("\r");
    pty.wait_for("mali: น้ำเต็มคลองแล้ว มาทางเรือนะ  [");
    ton.json(&["sync"]);
    pty.wait_for("มาทางเรือนะ  [delivered]");
    // No letter of what was sent is left: SARA AM has a cell of its own.
    let screen = pty.contents();
    let is_blank = |line: &str| line.trim_end().ends_with("│>");
    assert!(screen.lines().any(is_blank), "{screen}");
    ton.json(&["read", MARKET, "--wait", "stored"]);
    pty.wait_for("มาทางเรือนะ  [read]");
    assert!(!pty.contents().contains("(1)"), "{}", pty.contents());
    assert_eq!(
        mali.bodies(MARKET).len(),
        2,
        "other commands work meanwhile"
    );
    println!("{}", pty.contents());

    pty.press("\u{1b}");
    pty.wait_for("q quit");
    pty.press("q");
    assert_eq!(pty.end(), (Some(0), String::new()));
    assert_eq!(
        ton.bodies(MARKET),
        ["ที่ท่าน้ำมีปู่ขายปลา", "น้ำเต็มคลองแล้ว มาทางเรือนะ"]
    );
}

#[test]
fn what_is_sent_offline_is_queued_and_what_is_not_sent_is_told_at_the_end() {
    let node = Node::new("mali");
    node.open_timeline(MARKET);
    let mut pty = tui(&node);
    pty.wait_for("no relay: offline");
    pty.press("\r");
    pty.press("รอเรือ");
    pty.wait_for("> รอเรือ");
    pty.press("\r");
    pty.wait_for("mali: รอเรือ  [queued]");
    pty.press("\u{1b}[200~two\r\nlines\u{1b}[201~");
    // Not for "lines": the title of the list, "timelines", has that.
    pty.wait_for("two");
    kill("-TERM", pty.id());
    let (code, shown) = pty.end();
    assert_eq!(code, Some(0));
    assert!(shown.contains("not sent in ตลาดริมคลอง: two"), "{shown}");
    assert_eq!(node.bodies(MARKET), ["รอเรือ"]);
}

#[test]
fn the_first_of_many_messages_is_reached() {
    let node = Node::new("mali");
    let mut chat = format!("[LINE] Chat history in \"{MARKET}\"\n\nFri, 11/28/2025\n");
    for number in 0..2_500 {
        chat.push_str(&format!("08:55\tTon\tmessage {number}\n"));
    }
    let file = node.beside("chat.txt");
    std::fs::write(&file, chat).unwrap();
    let import = ["import", "line", file.to_str().unwrap(), "--wait", "none"];
    assert_eq!(node.run(&import).code, 0);
    let mut pty = tui(&node);
    pty.wait_for("message 2499");
    pty.press("\t\u{1b}[H"); // Home
    pty.wait_for("message 0 ");
    pty.press("\u{1b}[6~"); // PgDn
    pty.wait_for("message 30");
    pty.press("\u{1b}[F"); // End
    pty.wait_for("message 2499");
    pty.press("\u{3}"); // Ctrl+C
    assert_eq!(pty.end().0, Some(0));
}

#[test]
fn a_daemon_that_dies_costs_nothing() {
    let node = Node::new("mali");
    node.open_timeline(MARKET);
    let daemon = node.daemon();
    let mut pty = tui(&node);
    pty.wait_for("no relay: offline");
    pty.press("\rhalf a");
    pty.wait_for("> half a");
    drop(daemon); // SIGKILL
    pty.press(" word");
    pty.wait_for("> half a word");
    pty.press("\r");
    pty.wait_for("mali: half a word  [queued]");
    pty.press("\u{3}");
    assert_eq!(pty.end(), (Some(0), String::new()));
    assert_eq!(node.bodies(MARKET), ["half a word"]);
}

#[test]
fn an_error_is_told_on_the_ordinary_screen() {
    let node = Node::bare().with_passphrase("correct horse");
    assert_eq!(node.run(&["init", "--nickname", "mali"]).code, 0);
    node.open_timeline(MARKET);
    let daemon = node.daemon();
    let mut pty = tui(&node);
    pty.wait_for("no relay: offline");
    pty.press("\rnot yet sent");
    pty.wait_for("> not yet sent");
    std::fs::remove_file(node.beside("passphrase")).unwrap();
    drop(daemon);
    let (code, shown) = pty.end();
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("could not read"), "{shown}");
    assert!(shown.contains(": not yet sent"), "{shown}");
}

#[test]
fn who_closes_the_window_ends_the_program() {
    let node = Node::new("mali");
    node.open_timeline(MARKET);
    let mut pty = tui(&node);
    pty.wait_for("no relay: offline");
    kill("-HUP", pty.id());
    assert_eq!(pty.end().0, Some(0));
    assert_eq!(node.run(&["status"]).code, 0, "the folder is free");
}

#[test]
fn without_a_terminal_it_is_refused() {
    let node = Node::new("mali");
    let said = node.run(&["tui"]);
    assert_eq!((said.code, said.stdout.as_str()), (2, ""));
    assert!(said.stderr.contains("needs a terminal"), "{}", said.stderr);
    assert!(said.stderr.contains("khlong log"), "{}", said.stderr);
    assert_eq!(node.run(&["--json", "tui"]).code, 2);
    // With a keyboard and without a screen.
    let khlong = node.command();
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec \"$0\" tui >/dev/null"])
        .arg(khlong.get_program())
        .env("KHLONG_HOME", node.home());
    let said = Pty::start(command, 80, 24);
    assert_eq!(said.end().0, Some(2));
}

#[test]
fn its_keys_are_in_help_and_manual() {
    let node = Node::new("mali");
    let pages = node.beside("man");
    assert_eq!(node.run(&["man", pages.to_str().unwrap()]).code, 0);
    let page = std::fs::read_to_string(pages.join("khlong-tui.1")).unwrap();
    let help = node.run(&["tui", "--help"]).stdout;
    for line in khlong_node::tui::KEYS.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let holds = |text: &str| {
            let plain = text.replace('\\', "");
            words.iter().all(|word| plain.contains(word))
        };
        assert!(holds(&help) && holds(&page), "{line}");
    }
}

const PANIC: &str = "KHLONG_TEST_PANIC_IN_TERMINAL";

/// Started by the next test in a terminal of its own; else it does nothing.
#[test]
fn a_program_that_panics() {
    if std::env::var_os(PANIC).is_some() {
        let _terminal = Terminal::enter().unwrap();
        std::thread::spawn(|| panic!("on another thread"))
            .join()
            .unwrap_err();
        panic!("on this one");
    }
}

#[test]
fn a_panic_is_told_on_the_ordinary_screen() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = "terminal::a_program_that_panics";
    command
        .args(["--exact", test, "--nocapture"])
        .env("RUST_BACKTRACE", "0")
        .env(PANIC, "1");
    let (code, shown) = Pty::start(command, 100, 30).end();
    assert_eq!(code, Some(101), "{shown}");
    assert!(shown.contains("on another thread"), "{shown}");
    assert!(shown.contains("on this one"), "{shown}");
}
