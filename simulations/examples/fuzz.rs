//! Runs seeds A..B and prints what failed.
#![expect(clippy::unwrap_used, reason = "a tool for one's own terminal")]
use khlong_simulations::fuzz::batch::Batch;
use khlong_simulations::fuzz::shrink::shrink;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let from: u64 = arguments.next().unwrap().parse().unwrap();
    let until: u64 = arguments.next().unwrap().parse().unwrap();
    let shrinks = arguments.next().is_some();
    std::panic::set_hook(Box::new(|_| {}));
    let mut batch = Batch::default();
    for seed in from..until {
        if let Some(failure) = batch.run(seed) {
            println!("seed {seed}: {} steps: {:#?}", failure.steps.len(), failure.violations);
            if shrinks {
                let (small, runs) = shrink(failure);
                println!("after {runs} runs {} steps: {}", small.steps.len(), serde_json::to_string(&small).unwrap());
            }
        }
    }
    println!("{} seeds, {} failed, {} events, {} virtual s", batch.seeds, batch.failures.len(), batch.events, batch.simulated_us / 1_000_000);
    println!("{:#?}\nnever: {:?}", batch.sometimes, batch.never_happened());
}
