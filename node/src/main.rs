//! The program `khlong`.

fn main() -> std::process::ExitCode {
    khlong_node::cli::main()
}
