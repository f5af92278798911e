//! Text in lines of at most 80 columns, where its words allow it.

/// The widest line.
pub const WIDTH: usize = 80;

/// Lays words into lines. The first line begins with `lead`, the others with as many spaces; `gap` stands between words.
#[must_use]
pub fn list(lead: &str, words: impl IntoIterator<Item = impl AsRef<str>>, gap: &str) -> Vec<String> {
    let indent = " ".repeat(width(lead));
    let mut lines = Vec::new();
    let mut line = lead.to_string();
    let mut used = width(lead);
    let mut fresh = true;
    for word in words {
        let word = word.as_ref();
        let length = width(word);
        if !fresh && used + width(gap) + length > WIDTH {
            lines.push(std::mem::replace(&mut line, indent.clone()));
            used = width(&indent);
            fresh = true;
        }
        if !fresh {
            line.push_str(gap);
            used += width(gap);
        }
        line.push_str(word);
        used += length;
        fresh = false;
    }
    lines.push(line.trim_end().to_string());
    lines
}

/// Lays a sentence into lines, broken at its spaces.
#[must_use]
pub fn text(lead: &str, text: &str) -> Vec<String> {
    list(lead, text.split(' '), " ")
}

/// How many columns a text takes, counted in characters.
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_the_80th_column_and_continue_below_their_beginning() {
        let words = ["word"; 20];
        let lines = list("  hide  ", words, "  ");
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[0],
            "  hide  word  word  word  word  word  word  word  word  word  word  word  word"
        );
        assert_eq!(lines[1], "        word  word  word  word  word  word  word  word");
        assert!(lines.iter().all(|line| width(line) <= WIDTH));
        let long = "x".repeat(100);
        assert_eq!(text("> ", &format!("a {long} b")), ["> a", &format!("  {long}"), "  b"]);
    }
}
