//! The program `khlong-sim`.

fn main() -> std::process::ExitCode {
    khlong_simulations::cli::main()
}
