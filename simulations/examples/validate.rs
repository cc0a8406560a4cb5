//! Runs the validation suite: `validate [REPLICATIONS] [MESSAGES] [SEED] [TABLE-B: 0 or 1]`.

use khlong_simulations::validate::{Options, passed, print, run};

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .map_while(|word| word.parse::<u64>().ok());
    let mut options = Options::default();
    if let Some(replications) = numbers.next() {
        options.replications = replications as u32;
    }
    if let Some(messages) = numbers.next() {
        options.messages = messages as u32;
    }
    if let Some(seed) = numbers.next() {
        options.seed = seed;
    }
    options.with_one = numbers.next() != Some(0);
    let rows = run(options);
    print!("{}", print::table(&rows));
    if !passed(&rows) {
        std::process::exit(1);
    }
}
