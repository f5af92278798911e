//! Which statements of a policy ran. The engine does not tell, so the text is given a probe before each statement: a call of
//! `coverage::hit(n)`. The probes stand on the statements' own lines, so lines stay true; columns do not, so this text is only
//! run to be measured.

use std::collections::{BTreeMap, BTreeSet};

/// A script with probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// The text.
    pub text: String,
    /// The line of each probe, by its number.
    pub lines: Vec<usize>,
}

/// What ran, line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// How many lines have a statement.
    pub all: usize,
    /// Lines of which some statement did not run.
    pub missed: Vec<usize>,
}

impl Probed {
    /// Which lines were passed by these probes. A line counts as run when all of its statements ran.
    #[must_use]
    pub fn lines(&self, hits: &BTreeSet<usize>) -> Lines {
        let mut by_line: BTreeMap<usize, bool> = BTreeMap::new();
        for (probe, line) in self.lines.iter().enumerate() {
            *by_line.entry(*line).or_insert(true) &= hits.contains(&probe);
        }
        Lines {
            all: by_line.len(),
            missed: by_line
                .into_iter()
                .filter(|(_, ran)| !ran)
                .map(|(line, _)| line)
                .collect(),
        }
    }
}

/// What a bracket opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    /// The text outside the functions.
    Top,
    /// Statements. Whether the present one started with a word that ends at a `}`.
    Block { blocky: bool },
    /// The arms of a `switch`. Whether the present arm was given a block of its own.
    Switch { wrapped: bool },
    /// `(`, `[` or `#{`.
    Other,
}

/// Gives a script its probes.
#[must_use]
pub fn probe(text: &str) -> Probed {
    let mut prober = Prober {
        rest: text,
        line: 1,
        out: String::new(),
        lines: Vec::new(),
        frames: vec![Frame::Top],
        statement: false,
        arm: false,
        switch: false,
        ended: false,
    };
    while prober.step() {}
    Probed {
        text: prober.out,
        lines: prober.lines,
    }
}

/// The plain texts that a script holds: what it may ask about.
pub fn literals(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let first = rest.chars().next()?;
            let (token, after) = rest.split_at(token_length(rest, first));
            rest = after;
            let inside = token.strip_prefix('"').and_then(|token| token.strip_suffix('"'));
            if let Some(inside) = inside.filter(|inside| !inside.contains('\\')) {
                return Some(inside);
            }
        }
    })
}

struct Prober<'text> {
    rest: &'text str,
    line: usize,
    out: String,
    lines: Vec<usize>,
    frames: Vec<Frame>,
    /// A statement may begin here.
    statement: bool,
    /// The expression of a switch's arm begins here.
    arm: bool,
    /// The next `{` is that of a `switch`.
    switch: bool,
    /// A block just ended that may have ended its statement.
    ended: bool,
}

impl Prober<'_> {
    /// Takes one token. False at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else {
            return false;
        };
        let length = token_length(self.rest, first);
        let (token, rest) = self.rest.split_at(length);
        let (token, rest) = (token.to_string(), rest.to_string());
        let skipped = first.is_whitespace() || token.starts_with("//") || token.starts_with("/*");
        if !skipped {
            self.before(&token);
        }
        self.line += token.matches('\n').count();
        self.out.push_str(&token);
        if !skipped {
            self.after(&token);
        }
        self.rest = self.rest.get(length..).unwrap_or_default();
        debug_assert_eq!(self.rest, rest);
        true
    }

    fn top(&self) -> Frame {
        self.frames.last().copied().unwrap_or(Frame::Top)
    }

    fn hit(&mut self) {
        self.out.push_str(&format!("coverage::hit({});", self.lines.len()));
        self.lines.push(self.line);
    }

    /// Puts in what belongs before a token.
    fn before(&mut self, token: &str) {
        if std::mem::take(&mut self.ended)
            && !matches!(token, "else" | "while" | "until" | "." | ";" | "}" | ")" | "," | "]")
        {
            self.statement = true;
        }
        if std::mem::take(&mut self.arm) && token != "{" {
            self.out.push('{');
            self.hit();
            if let Some(Frame::Switch { wrapped }) = self.frames.last_mut() {
                *wrapped = true;
            }
        }
        if matches!(token, "," | "}")
            && let Some(Frame::Switch { wrapped }) = self.frames.last_mut()
            && std::mem::take(wrapped)
        {
            self.out.push('}');
        }
        if self.statement && token != ";" {
            self.statement = false;
            if token != "}" {
                self.hit();
                let starts = matches!(token, "if" | "for" | "while" | "loop" | "switch" | "do" | "{");
                if let Some(Frame::Block { blocky }) = self.frames.last_mut() {
                    *blocky = starts;
                }
            }
        }
    }

    /// Keeps the brackets.
    fn after(&mut self, token: &str) {
        match token {
            "switch" => self.switch = true,
            "=>" => self.arm = matches!(self.top(), Frame::Switch { .. }),
            "{" if std::mem::take(&mut self.switch) => self.frames.push(Frame::Switch { wrapped: false }),
            "{" => {
                self.frames.push(Frame::Block { blocky: false });
                self.statement = true;
            }
            "(" | "[" | "#{" => self.frames.push(Frame::Other),
            ")" | "]" | "}" => {
                self.statement = false;
                let closed = self.frames.pop();
                if token == "}" && closed != Some(Frame::Other) {
                    self.ended = self.top() == Frame::Block { blocky: true };
                }
            }
            ";" => self.statement = matches!(self.top(), Frame::Block { .. }),
            _ => {}
        }
    }
}

/// The length of the token that `text` begins with.
fn token_length(text: &str, first: char) -> usize {
    let while_ = |test: &dyn Fn(char) -> bool| text.find(|c: char| !test(c)).unwrap_or(text.len());
    if first.is_whitespace() {
        return while_(&char::is_whitespace);
    }
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return comment(text);
    }
    if first.is_alphanumeric() || first == '_' {
        return while_(&|c| c.is_alphanumeric() || c == '_');
    }
    if let Some(end) = raw_text(text) {
        return end;
    }
    match first {
        '"' | '\'' | '`' => quoted(text, first),
        _ if text.starts_with("#{") || text.starts_with("=>") => 2,
        other => other.len_utf8(),
    }
}

/// `/* ... */`, which nests.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// `#"..."#`, with as many `#` on both sides.
fn raw_text(text: &str) -> Option<usize> {
    let hashes = text.find(|c| c != '#')?;
    let inside = text.get(hashes..)?.strip_prefix('"')?;
    if hashes == 0 {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    Some(inside.find(&end).map_or(text.len(), |at| hashes + 1 + at + end.len()))
}

/// A text to its end. Between backticks, `${ ... }` holds code, which is passed over whole.
fn quoted(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    let mut depth = 0_usize;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote != '`' => {
                chars.next();
            }
            '$' if quote == '`' && depth == 0 && chars.peek().is_some_and(|(_, next)| *next == '{') => {
                chars.next();
                depth = 1;
            }
            '{' if depth > 0 => depth += 1,
            '}' if depth > 0 => depth -= 1,
            _ if c == quote && depth == 0 => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_has_a_probe() {
        let table = [
            (
                "fn f() { a(); b }",
                "fn f() { coverage::hit(0);a(); coverage::hit(1);b }",
            ),
            ("fn f() {}", "fn f() {}"),
            (
                "const X = 1; fn f() { X }",
                "const X = 1; fn f() { coverage::hit(0);X }",
            ),
            (
                "fn f() { if a { b } else { c } d }",
                "fn f() { coverage::hit(0);if a { coverage::hit(1);b } else { coverage::hit(2);c } coverage::hit(3);d }",
            ),
            (
                "fn f() { return if a { b } else { c }; }",
                "fn f() { coverage::hit(0);return if a { coverage::hit(1);b } else { coverage::hit(2);c }; }",
            ),
            (
                "fn f() { switch x { 1 | 2 => a(1, 2), 3 => { b } _ => c } }",
                "fn f() { coverage::hit(0);switch x { 1 | 2 => {coverage::hit(1);a(1, 2)}, 3 => { coverage::hit(2);b } _ => {coverage::hit(3);c }} }",
            ),
            (
                "fn f() { let m = #{ a: 1 }; [1].map(|x| { x }); for x in [1] { g(x); } }",
                "fn f() { coverage::hit(0);let m = #{ a: 1 }; coverage::hit(1);[1].map(|x| { coverage::hit(2);x }); \
                 coverage::hit(3);for x in [1] { coverage::hit(4);g(x); } }",
            ),
            (
                "fn f() { do { a; } while b; c }",
                "fn f() { coverage::hit(0);do { coverage::hit(1);a; } while b; coverage::hit(2);c }",
            ),
            (
                "fn f() { g(\"}; {\", `a ${ if x { 1 } else { 2 } } {`, '{'); /* { /* */ } */ // {\n #\"{\"}\"# }",
                "fn f() { coverage::hit(0);g(\"}; {\", `a ${ if x { 1 } else { 2 } } {`, '{'); /* { /* */ } */ // {\n \
                 coverage::hit(1);#\"{\"}\"# }",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(probe(text).text, expected);
        }
    }

    #[test]
    fn a_line_ran_when_all_of_it_ran() {
        let probed = probe("fn f() {\n    if a { b } else { c }\n    d\n}\n");
        assert_eq!(probed.lines, [2, 2, 2, 3]);
        let missed = |hits: &[usize]| probed.lines(&hits.iter().copied().collect()).missed;
        assert_eq!(missed(&[0, 1, 2, 3]), Vec::<usize>::new());
        assert_eq!(missed(&[0, 1, 3]), [2]);
        assert_eq!(missed(&[0, 1, 2]), [3]);
    }

    /// Whatever the text, nothing of it is lost.
    #[test]
    fn without_its_probes_the_text_is_the_same() {
        let text = crate::host::policies::BUNDLED;
        let probed = probe(text);
        let mut bare = probed.text.clone();
        for probe in (0..probed.lines.len()).rev() {
            bare = bare.replacen(&format!("coverage::hit({probe});"), "", 1);
        }
        assert_eq!(bare.replace(['{', '}'], ""), text.replace(['{', '}'], ""));
    }
}
