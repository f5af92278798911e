//! A child of a test while it runs: what it says first, how it ends, and that it does end.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// After this long a child is taken for hung and ended. Nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(180);

/// A run that goes on; it is ended when dropped.
#[derive(Debug)]
pub struct Running {
    pub(super) child: Child,
}

impl Running {
    pub(super) fn start(mut command: Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        Self {
            child: child.expect("the program starts"),
        }
    }

    /// The process that was started, by now whatever it became by exec.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end; the exit code is as a shell would show it.
    #[track_caller]
    pub fn exit_code(&mut self) -> i32 {
        wait(&mut self.child)
    }

    /// The first line that it prints, once it does; the rest is not read.
    pub fn first_line(&mut self) -> String {
        let mut line = String::new();
        let read = std::io::BufRead::read_line(&mut std::io::BufReader::new(self.stdout()), &mut line);
        read.expect("the first line");
        line
    }

    /// Its stdout, to wait for a first line.
    pub fn stdout(&mut self) -> std::process::ChildStdout {
        self.child.stdout.take().expect("stdout is taken once")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn reader(pipe: Option<impl std::io::Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// The exit code as a shell would show it.
#[track_caller]
pub(super) fn wait(child: &mut Child) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return status
                .code()
                .or_else(|| status.signal().map(|signal| 128 + signal))
                .expect("a code or a signal");
        }
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the program did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
