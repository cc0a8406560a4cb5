//! What a completion script offers behind which command, read from its text: of the shells that
//! are not run here.

use std::collections::{BTreeMap, BTreeSet};

/// Flags and commands, by the words that lead to them, the program's own name first.
pub(crate) type Offered = BTreeMap<Vec<String>, BTreeSet<String>>;

/// Words behind the program's name up to which clap_complete makes rules for fish.
const FISH_DEPTH_MAX: usize = 2;

/// How deep the script of a shell goes; `None`: to the end.
pub(crate) fn depth_max(shell: &str) -> Option<usize> {
    (shell == "fish").then_some(FISH_DEPTH_MAX)
}

/// Reads a script for elvish, fish, powershell or zsh.
pub(crate) fn offered(shell: &str, program: &str, script: &str) -> Offered {
    match shell {
        "elvish" => blocks(script, "&'", "'= {", |line| {
            Some(line.strip_prefix("cand ")?.split(' ').next()?.to_owned())
        }),
        "powershell" => blocks(script, "'", "' {", |line| {
            let text = line.strip_prefix("[CompletionResult]::new('")?;
            Some(text.split('\'').next()?.to_owned())
        }),
        "fish" => fish(program, script),
        "zsh" => zsh(program, script),
        _ => panic!("{shell}"),
    }
}

/// A block for each command, headed by its words with `;` between them.
fn blocks(
    script: &str,
    before: &str,
    after: &str,
    word: impl Fn(&str) -> Option<String>,
) -> Offered {
    let mut offered = Offered::new();
    let mut at = Vec::new();
    for line in script.lines().map(str::trim) {
        let head = line.strip_prefix(before);
        if let Some(words) = head.and_then(|head| head.strip_suffix(after)) {
            at = words.split(';').map(str::to_owned).collect();
            offered.insert(at.clone(), BTreeSet::new());
        } else if let (Some(word), Some(words)) = (word(line), offered.get_mut(&at)) {
            words.insert(word);
        }
    }
    offered
}

/// `complete -c PROGRAM -n "CONDITION" -s n -l name -d '…'`, or `-a "name"` for a command.
fn fish(program: &str, script: &str) -> Offered {
    let mut offered = Offered::new();
    let start = format!("complete -c {program} -n \"");
    for line in script.lines() {
        let Some((condition, rule)) = line
            .strip_prefix(&start)
            .and_then(|line| line.split_once('"'))
        else {
            continue;
        };
        let mut at = vec![program.to_owned()];
        if let Some((_, behind)) = condition.split_once("_using_subcommand ") {
            let mut words = behind.split("; and ");
            at.extend(words.next().map(str::to_owned));
            let second = words.filter_map(|word| word.strip_prefix("__fish_seen_subcommand_from "));
            at.extend(second.map(str::to_owned));
        }
        let (rule, _) = rule.split_once(" -d '").unwrap_or((rule, ""));
        let flag = rule.split(" -l ").nth(1).map(|name| format!("--{name}"));
        let command = rule.split(" -a \"").nth(1);
        let command = command.map(|name| name.trim_end_matches('"').to_owned());
        let word = flag.or(command);
        offered.entry(at).or_default().extend(word);
    }
    offered
}

/// Flags stand in nested `case`s, commands in a function for each command that has some.
fn zsh(program: &str, script: &str) -> Offered {
    let mut offered = Offered::new();
    let mut at = vec![program.to_owned()];
    // Of each `case` that is open: whether its patterns are commands.
    let mut cases = Vec::new();
    let mut commands_of: Option<Vec<String>> = None;
    let mut lines = script.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let name = line
            .strip_prefix('(')
            .and_then(|line| line.strip_suffix(')'));
        if line.starts_with("case ") {
            cases.push(line.starts_with("case $line["));
        } else if line == "esac" {
            cases.pop();
            let depth = cases
                .iter()
                .filter(|is_of_commands| **is_of_commands)
                .count();
            at.truncate(depth + 1);
        } else if let Some(name) = name
            && lines
                .peek()
                .is_some_and(|next| next.starts_with("_arguments "))
        {
            let depth = cases
                .iter()
                .filter(|is_of_commands| **is_of_commands)
                .count();
            at.truncate(depth);
            at.push(name.to_owned());
        } else if let Some(function) = line.strip_suffix("_commands() {") {
            let words = function.trim_start_matches('_').split("__subcmd__");
            commands_of = Some(words.map(str::to_owned).collect());
        } else if line == "}" {
            commands_of = None;
        } else if let Some(rule) = line.strip_prefix('\'') {
            let word = match &commands_of {
                Some(_) => rule.split(':').next().map(str::to_owned),
                None => zsh_flag(rule),
            };
            let at = commands_of.as_ref().unwrap_or(&at);
            offered.entry(at.clone()).or_default().extend(word);
        }
    }
    offered
}

/// `(CONFLICTS)*--name=[help]:…`; the first two, and the `=`, may be missing.
fn zsh_flag(rule: &str) -> Option<String> {
    let rule = match rule.strip_prefix('(') {
        Some(conflicts) => conflicts.split_once(')')?.1,
        None => rule,
    };
    let rule = rule.strip_prefix('*').unwrap_or(rule);
    let flag = rule.split(['=', '[']).next()?;
    flag.starts_with("--").then(|| flag.to_owned())
}
