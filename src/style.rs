//! Colour, or none. Colour is never needed to understand a text.

use crate::cli::ColorWhen;
use crate::host::terminal::Terminal;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// An error.
    Bad,
    /// Something to look at twice.
    Warn,
    /// All is well.
    Good,
    /// The way out.
    Hint,
    /// A place in a file.
    Place,
    /// A heading.
    Heading,
    /// Less important text.
    Dim,
}

/// Whether text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    coloured: bool,
}

impl Style {
    /// Text without colour.
    #[must_use]
    pub fn plain() -> Self {
        Self { coloured: false }
    }

    /// As the command line says, or as the terminal that standard error is allows.
    #[must_use]
    pub fn of(when: ColorWhen, terminal: &Terminal) -> Self {
        Self {
            coloured: when == ColorWhen::Always || (when == ColorWhen::Auto && terminal.colour),
        }
    }

    /// The same for standard output.
    #[must_use]
    pub fn of_output(when: ColorWhen, terminal: &Terminal) -> Self {
        Self {
            coloured: when == ColorWhen::Always || (when == ColorWhen::Auto && terminal.output_colour),
        }
    }

    /// Coloured text, for a terminal.
    #[must_use]
    pub fn coloured() -> Self {
        Self { coloured: true }
    }

    /// The text in its tone's colour (ECMA-48 SGR), or as it is.
    #[must_use]
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if !self.coloured || text.is_empty() {
            return text.to_string();
        }
        let code = match tone {
            Tone::Bad => "1;31",
            Tone::Warn => "33",
            Tone::Good => "32",
            Tone::Hint => "1;36",
            Tone::Place => "34",
            Tone::Heading => "1",
            Tone::Dim => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
