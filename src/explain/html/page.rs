//! The page itself: the only place where texts become markup, each through [`escaped`].

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::diagnostic::Refusal;

use super::tree::Node;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A directory with more entries than this starts folded.
const OPEN_MAX: usize = 16;

/// A door with a lock, drawn: no font has to have it.
const DOOR: &str = "<svg class=\"door\" viewBox=\"0 0 16 18\" aria-hidden=\"true\"><path d=\"M3 8V5.5a5 5 0 0 1 10 0V8h1v10H2V8zm2 \
                    0h6V5.5a3 3 0 0 0-6 0zm3 3a1.4 1.4 0 0 0-.7 2.6V16h1.4v-2.4A1.4 1.4 0 0 0 8 11z\"/></svg>";

/// What a click on a row shows.
pub(super) struct Facts {
    title: String,
    says: String,
    lines: Vec<(&'static str, String)>,
    /// The policy's line.
    pub code: Option<String>,
}

impl Facts {
    /// Facts about `title`, which the sentence `says` something of.
    pub(super) fn new(title: String, says: &str) -> Self {
        Self {
            title,
            says: says.into(),
            lines: Vec::new(),
            code: None,
        }
    }

    /// One more fact.
    pub(super) fn add(&mut self, name: &'static str, value: &str) {
        self.lines.push((name, value.into()));
    }
}

/// A row: its kind, which colours it, a word at its end, and what it tells.
pub(super) struct Item {
    /// A class of the style sheet.
    pub class: &'static str,
    /// The word at its end.
    pub tag: String,
    /// What a click shows.
    pub facts: Facts,
}

/// Rows of cells.
pub(super) type Table = Vec<Vec<String>>;

/// A page that grows from its head to its foot.
pub(super) struct Page {
    out: String,
}

impl Page {
    /// The head: whether it would start, the search field, the legend.
    pub(super) fn new(project: &str, refusal: Option<&Refusal>) -> Self {
        let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        // The page can fetch nothing, and runs its one script alone.
        let policy = format!(
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{}'",
            base64(&Sha256::digest(SCRIPT.as_bytes()))
        );
        let project = escaped(project);
        let _ = write!(
            out,
            "<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <title>What Claude Code sees of {project}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <header>\n<h1>What Claude Code sees</h1>\n<p>in the sandbox of <code>{project}</code></p>\n"
        );
        match refusal {
            None => out.push_str("<p class=\"verdict good\">A launch would start</p>\n"),
            Some(refusal) => {
                let _ = write!(
                    out,
                    "<p class=\"verdict bad\">Nothing would start</p>\n<div class=\"errors\"><pre>{}</pre></div>\n",
                    escaped(refusal.to_string().trim_end())
                );
            }
        }
        out.push_str(
            "</header>\n<div class=\"bar\"><div>\n\
             <input type=\"search\" placeholder=\"Search a path, a variable, a reason…\" aria-label=\"Search\" autocomplete=\"off\" spellcheck=\"false\">\n\
             <ul class=\"legend\">\n",
        );
        for (class, word) in [
            ("ro", "host, read-only"),
            ("rw", "host, writable"),
            ("text", "generated"),
            ("memory", "memory"),
            ("link", "link"),
            ("kernel", "kernel"),
            ("locked", "locked"),
        ] {
            let _ = writeln!(out, "<li class=\"{class}\">{}{word}</li>", mark(class));
        }
        out.push_str(
            "</ul>\n</div></div>\n<main>\n<div class=\"column\">\n<p class=\"none\">Nothing here has such a name.</p>\n",
        );
        Self { out }
    }

    /// The tree of files.
    pub(super) fn tree(&mut self, root: &Node) {
        self.out.push_str("<section>\n<h2>Files</h2>\n<ul class=\"tree\">\n");
        self.node(root);
        self.out.push_str("</ul>\n</section>\n");
    }

    fn node(&mut self, node: &Node) {
        self.item_start(&node.item);
        if node.children.is_empty() {
            self.out.push_str("<div class=\"leaf\">");
            self.row(&node.item, &node.name);
            self.out.push_str("</div></li>\n");
            return;
        }
        let open = if node.children.len() <= OPEN_MAX { " open" } else { "" };
        let _ = write!(self.out, "<details{open}><summary>");
        self.row(&node.item, &node.name);
        self.out.push_str("</summary><ul>\n");
        for child in node.children.values() {
            self.node(child);
        }
        self.out.push_str("</ul></details></li>\n");
    }

    /// Groups of rows.
    pub(super) fn items(&mut self, heading: &str, groups: &[(String, Vec<Item>)]) {
        let _ = writeln!(self.out, "<section>\n<h2>{}</h2>", escaped(heading));
        for (heading, items) in groups {
            let _ = writeln!(
                self.out,
                "<p class=\"group\">{}</p>\n<ul class=\"flat\">",
                escaped(heading)
            );
            for item in items {
                self.item_start(item);
                self.out.push_str("<div class=\"leaf\">");
                self.row(item, &item.facts.title);
                self.out.push_str("</div></li>\n");
            }
            self.out.push_str("</ul>\n");
        }
        self.out.push_str("</section>\n");
    }

    /// A table, where it has rows.
    pub(super) fn table(&mut self, heading: &str, rows: &Table) {
        if rows.is_empty() {
            return;
        }
        let _ = writeln!(
            self.out,
            "<section>\n<h2>{}</h2>\n<div class=\"scroll\"><table>",
            escaped(heading)
        );
        for row in rows {
            self.out.push_str("<tr>");
            for cell in row {
                let _ = write!(self.out, "<td>{}</td>", escaped(cell));
            }
            self.out.push_str("</tr>\n");
        }
        self.out.push_str("</table></div>\n</section>\n");
    }

    fn item_start(&mut self, item: &Item) {
        let mut text = format!("{} {} {}", item.facts.title, item.facts.says, item.tag);
        for (_, value) in &item.facts.lines {
            text.push(' ');
            text.push_str(value);
        }
        let _ = write!(
            self.out,
            "<li class=\"item\" data-text=\"{}\">",
            escaped(&text.to_lowercase())
        );
    }

    fn row(&mut self, item: &Item, name: &str) {
        let Item { class, tag, facts } = item;
        let _ = write!(
            self.out,
            "<button type=\"button\" class=\"row {class}\" aria-pressed=\"false\" data-name=\"{}\">{}<span class=\"name\">{}</span>\
             <span class=\"tag\">{}</span></button>",
            escaped(&facts.title),
            mark(class),
            escaped(name),
            escaped(tag)
        );
        let _ = write!(
            self.out,
            "<template><h3>{}</h3><p class=\"says\">{}</p><dl>",
            escaped(&facts.title),
            escaped(&facts.says)
        );
        for (name, value) in &facts.lines {
            let _ = write!(self.out, "<dt>{name}</dt><dd>{}</dd>", escaped(value));
        }
        self.out.push_str("</dl>");
        if let Some(code) = &facts.code {
            let _ = write!(self.out, "<pre>{}</pre>", escaped(code));
        }
        self.out.push_str("</template>");
    }

    /// The foot: the panel, the script.
    pub(super) fn finish(mut self) -> String {
        let _ = write!(
            self.out,
            "</div>\n<aside aria-live=\"polite\"><button type=\"button\" class=\"close\" aria-label=\"Close\">×</button>\n\
             <div id=\"told\"><p class=\"hint\">Choose a row to see why it is as it is, and which line of the policy decided it.</p></div>\n\
             </aside>\n</main>\n<footer>Made by claudebox {} with <code>claudebox --explain --html</code>. No value of a secret is in this page.</footer>\n\
             <script>{SCRIPT}</script>\n</body>\n</html>\n",
            env!("CARGO_PKG_VERSION")
        );
        self.out
    }
}

fn mark(class: &str) -> &'static str {
    if class == "locked" {
        DOOR
    } else {
        "<span class=\"dot\"></span>"
    }
}

/// A text as markup shows it, in an element and in a quoted attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let number = chunk
            .iter()
            .chain([0, 0].iter())
            .take(3)
            .fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        for place in 0..4_usize {
            let digit = DIGITS.get(number >> (18 - 6 * place) & 63).copied().unwrap_or(b'=');
            out.push(if place > chunk.len() { '=' } else { char::from(digit) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_standards() {
        for (text, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }

    #[test]
    fn markup_in_a_text_stays_text() {
        assert_eq!(
            escaped("<img src=x onerror=\"a('&')\">"),
            "&lt;img src=x onerror=&quot;a(&#39;&amp;&#39;)&quot;&gt;"
        );
    }
}
