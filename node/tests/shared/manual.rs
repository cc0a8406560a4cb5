//! What `completions` and `man` of a program must hold: every command and every flag that its
//! `--help` tells of, where it may stand. Bash is run; scripts for the other shells are read.
//! Used by the tests of all programs.

#[path = "completions.rs"]
mod completions;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

/// What one command's help tells of.
#[derive(Debug, Default)]
struct Help {
    commands: BTreeSet<String>,
    flags: BTreeSet<String>,
}

/// By the words that lead there, the program's own name first.
type Tree = BTreeMap<Vec<String>, Help>;

/// Those that are read.
const SHELLS: [&str; 4] = ["elvish", "fish", "powershell", "zsh"];

/// Goes through the commands in a line of standard input, and prints what bash would offer
/// for a flag and for a word behind each.
const BASH: &str = r#"
source "$1"
function_of() { complete -p "$1" | sed -E 's/.* -F ([^ ]+).*/\1/'; }
offer() {
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
    "$(function_of "$1")" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    # Not by echo, which takes a first word `-n` for its own.
    printf '%s ' "${COMPREPLY[@]}"; echo
}
while read -r -a words; do
    offer "${words[@]}" "--"
    offer "${words[@]}" ""
done
"#;

/// Compares the program at `path`.
pub(crate) fn check(path: &str, folder: &Path) {
    let name = Path::new(path).file_name().unwrap().to_str().unwrap();
    let mut tree = Tree::new();
    walk(path, vec![name.to_owned()], &mut tree);
    assert!(tree.len() > 3, "the help was not understood: {tree:?}");
    pages(path, &folder.join("man"), &tree);
    for shell in SHELLS {
        let script = output(path, &["completions", shell]);
        let offered = completions::offered(shell, name, &script);
        let depth_max = completions::depth_max(shell);
        for (words, help) in &tree {
            if depth_max.is_some_and(|most| words.len() > most + 1) {
                continue;
            }
            let due: BTreeSet<String> = help.flags.union(&help.commands).cloned().collect();
            let told = offered.get(words).cloned().unwrap_or_default();
            let missing: Vec<&String> = due.difference(&told).collect();
            assert!(missing.is_empty(), "{shell}, {words:?}: {missing:?}");
        }
    }
    let script = folder.join("completion.bash");
    std::fs::write(&script, output(path, &["completions", "bash"])).unwrap();
    bash(&script, &tree);
}

/// Every command has a page, every page a command, and names its flags.
fn pages(path: &str, folder: &Path, tree: &Tree) {
    output(path, &["man", folder.to_str().unwrap()]);
    let written: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let due: BTreeSet<String> = tree
        .keys()
        .map(|words| format!("{}.1", words.join("-")))
        .collect();
    assert_eq!(written, due);
    for (words, help) in tree {
        let page = folder.join(format!("{}.1", words.join("-")));
        let page = std::fs::read_to_string(page).unwrap().replace('\\', "");
        for flag in &help.flags {
            assert!(page.contains(flag), "{flag} is missing in {words:?}");
        }
    }
}

/// A real bash reads the script and offers every command and flag where it may stand.
fn bash(script: &Path, tree: &Tree) {
    let lines: String = tree
        .keys()
        .map(|words| format!("{}\n", words.join(" ")))
        .collect();
    let asked = script.with_extension("asked");
    std::fs::write(&asked, lines).unwrap();
    let said = Command::new("bash")
        .args(["--norc", "-c", BASH, "bash"])
        .arg(script)
        .stdin(std::fs::File::open(&asked).unwrap())
        .output()
        .unwrap();
    assert!(
        said.status.success() && said.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let offered = String::from_utf8(said.stdout).unwrap();
    let mut offered = offered.lines();
    for (words, help) in tree {
        for due in [&help.flags, &help.commands] {
            let line = offered.next().unwrap();
            let told: BTreeSet<String> = line.split_whitespace().map(str::to_owned).collect();
            assert!(due.is_subset(&told), "{words:?}: {due:?} of {told:?}");
        }
    }
}

fn walk(path: &str, words: Vec<String>, tree: &mut Tree) {
    let arguments: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    let help = read(&output(path, &[&arguments[..], &["--help"]].concat()));
    for command in &help.commands {
        walk(
            path,
            [&words[..], std::slice::from_ref(command)].concat(),
            tree,
        );
    }
    tree.insert(words, help);
}

fn read(text: &str) -> Help {
    let mut help = Help::default();
    let mut is_list = false;
    for line in text.lines() {
        if line.is_empty() || !line.starts_with(' ') {
            is_list = line == "Commands:";
        }
        let first = line.split_whitespace().next().unwrap_or_default();
        let indent = line.len() - line.trim_start().len();
        if is_list && indent == 2 && first != "help" {
            help.commands.insert(first.to_owned());
        }
        // `-n, --limit <COUNT>` or `--limit <COUNT>`; a text that is wrapped stands further right.
        if indent <= 6 && first.starts_with('-') {
            let flags = line
                .split_whitespace()
                .take_while(|word| word.starts_with('-'));
            let long = flags.filter(|word| word.starts_with("--"));
            help.flags.extend(long.map(str::to_owned));
        }
    }
    help
}

fn output(path: &str, arguments: &[&str]) -> String {
    let done = Command::new(path)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(done.stdout).unwrap()
}
