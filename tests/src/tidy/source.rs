//! A Rust source file as the rules see it: comments, literals and test modules blanked out, then cut into tokens.
//!
//! Not a parser: it knows tokens, matching braces and paths, nothing of types or macros.

use std::fs;
use std::io;
use std::path::Path;

/// One word or sign of a source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The word, the sign, or `::`.
    pub text: String,
    /// Counted from 1.
    pub line: usize,
}

/// A path such as `std::fs::File`, from a `use` (trees taken apart) or from anywhere else in the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathUse {
    /// Its segments; the last may be `*`.
    pub segments: Vec<String>,
    /// The name under which a `use` makes it known; none outside `use`.
    pub name: Option<String>,
    /// Counted from 1.
    pub line: usize,
    /// The token after it.
    pub next: String,
    /// The token after that.
    pub next_but_one: String,
}

/// A file of the project.
#[derive(Debug, Clone)]
pub struct Source {
    /// From the project's root, with `/`.
    pub path: String,
    /// As it stands on the disk.
    pub text: String,
    /// The tokens of the product: without comments, literals and `#[cfg(test)]` items.
    pub tokens: Vec<Token>,
    /// The tokens of the whole file, tests included.
    pub all_tokens: Vec<Token>,
}

impl Source {
    /// Reads `text` as the content of the file at `path`.
    #[must_use]
    pub fn new(path: &str, text: &str) -> Self {
        let all_tokens = tokens(&mask(text));
        let tokens = if is_test_file(path) { Vec::new() } else { without_tests(&all_tokens) };
        Self { path: path.to_owned(), text: text.to_owned(), tokens, all_tokens }
    }

    /// The paths named in the product's code.
    #[must_use]
    pub fn paths(&self) -> Vec<PathUse> {
        paths(&self.tokens)
    }

    /// `path:line`, for a message.
    #[must_use]
    pub fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }
}

/// Every file under `root` as (path from the root, content), sorted; without what is built, generated or not text.
///
/// # Errors
/// When a folder or a file cannot be read.
pub fn read_tree(root: &Path) -> io::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_symlink() || matches!(name.as_str(), ".git" | "target" | "corpus" | "artifacts") {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if let Ok(text) = String::from_utf8(fs::read(&path)?) {
                let below = path.strip_prefix(root).unwrap_or(&path);
                found.push((below.to_string_lossy().replace('\\', "/"), text));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/src/tests/") || path.contains("/tests/tests/")
}

/// The text with comments and literals turned into spaces; lines stay where they are.
#[must_use]
pub fn mask(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|&each| if each == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` when none does.
fn literal_end(chars: &[char], at: usize) -> usize {
    let follows = |offset: usize| chars.get(at + offset).copied().unwrap_or('\0');
    let inside_word = at > 0 && is_word(chars[at - 1]);
    match (chars[at], follows(1)) {
        ('/', '/') => (at..chars.len()).find(|&each| chars[each] == '\n').unwrap_or(chars.len()),
        ('/', '*') => block_comment_end(chars, at),
        ('"', _) => string_end(chars, at + 1),
        ('r', '"' | '#') if !inside_word => raw_string_end(chars, at, at + 1),
        ('b' | 'c', 'r') if !inside_word => raw_string_end(chars, at, at + 2),
        ('\'', '\\') => char_end(chars, at + 3),
        ('\'', _) if follows(2) == '\'' => at + 3,
        _ => at,
    }
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut each) = (0_usize, at);
    while each + 1 < chars.len() {
        match (chars[each], chars[each + 1]) {
            ('/', '*') => (depth, each) = (depth + 1, each + 2),
            ('*', '/') => (depth, each) = (depth - 1, each + 2),
            _ => each += 1,
        }
        if depth == 0 {
            return each;
        }
    }
    chars.len()
}

fn string_end(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn char_end(chars: &[char], from: usize) -> usize {
    (from..chars.len()).find(|&each| chars[each] == '\'').map_or(chars.len(), |each| each + 1)
}

/// `start` when what follows the `r` is no raw string after all, but a name such as `r#type`.
fn raw_string_end(chars: &[char], start: usize, after_r: usize) -> usize {
    let hashes = chars[after_r..].iter().take_while(|&&each| each == '#').count();
    let body = after_r + hashes + 1;
    if chars.get(body - 1) != Some(&'"') {
        return start;
    }
    let closes =
        |at: usize| chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes;
    (body..chars.len()).find(|&at| closes(at)).map_or(chars.len(), |at| at + 1 + hashes)
}

fn is_word(each: char) -> bool {
    each.is_alphanumeric() || each == '_'
}

fn tokens(masked: &str) -> Vec<Token> {
    let mut found = Vec::new();
    for (index, line) in masked.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                _ if is_word(first) => rest.find(|each| !is_word(each)).unwrap_or(rest.len()),
                _ if rest.starts_with("::") => 2,
                _ => first.len_utf8(),
            };
            found.push(Token { text: rest[..length].to_owned(), line: index + 1 });
            rest = rest[length..].trim_start();
        }
    }
    found
}

/// Leaves out every item that carries `#[cfg(test)]`.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let marked = tokens[at..].iter().map(|token| token.text.as_str()).take(ATTRIBUTE.len()).eq(ATTRIBUTE);
        if marked {
            at = item_end(tokens, at + ATTRIBUTE.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Behind the `;` or the closing brace of the item that begins at `at`.
fn item_end(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.text == "}" {
                    return index + 1;
                }
            }
            ";" if depth == 0 => return index + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The functions of a file that have a body: name, first line, number of lines.
#[must_use]
pub fn functions(tokens: &[Token]) -> Vec<(String, usize, usize)> {
    let named = |at: &usize| tokens[*at].text == "fn" && tokens.get(at + 1).is_some_and(|next| next.text != "(");
    let mut found = Vec::new();
    for at in (0..tokens.len()).filter(named) {
        let end = item_end(tokens, at);
        if tokens[end - 1].text == "}" {
            let first = tokens[at].line;
            found.push((tokens[at + 1].text.clone(), first, tokens[end - 1].line - first + 1));
        }
    }
    found
}

fn text_at(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| token.text.as_str())
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn paths(tokens: &[Token]) -> Vec<PathUse> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let before = at.checked_sub(1).map_or("", |before| text_at(tokens, before));
        let text = text_at(tokens, at);
        if text == "use" && text_at(tokens, at + 1) != "<" {
            at = use_tree(tokens, at + 1, &[], &mut found);
        } else if is_name(text) && before != "::" && before != "." {
            at = plain_path(tokens, at, &mut found);
        } else {
            at += 1;
        }
    }
    found
}

fn plain_path(tokens: &[Token], at: usize, found: &mut Vec<PathUse>) -> usize {
    let mut segments = vec![text_at(tokens, at).to_owned()];
    let mut end = at + 1;
    while text_at(tokens, end) == "::" && is_name(text_at(tokens, end + 1)) {
        segments.push(text_at(tokens, end + 1).to_owned());
        end += 2;
    }
    found.push(PathUse {
        segments,
        name: None,
        line: tokens[at].line,
        next: text_at(tokens, end).to_owned(),
        next_but_one: text_at(tokens, end + 1).to_owned(),
    });
    end
}

/// Takes a `use` tree apart from `at` on; gives back where it ends.
fn use_tree(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<PathUse>) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens.get(at).map_or(0, |token| token.line);
    loop {
        match text_at(tokens, at) {
            "::" => at += 1,
            "{" => {
                at += 1;
                while !matches!(text_at(tokens, at), "}" | "") {
                    let comma = text_at(tokens, at) == ",";
                    let behind = if comma { at } else { use_tree(tokens, at, &segments, found) };
                    at = behind.max(at + 1);
                }
                return at + 1;
            }
            "self" if !segments.is_empty() => at += 1,
            word if is_name(word) && word != "as" || word == "*" => {
                segments.push(word.to_owned());
                at += 1;
            }
            _ => break,
        }
    }
    let mut name = segments.last().cloned();
    if text_at(tokens, at) == "as" {
        name = Some(text_at(tokens, at + 1).to_owned());
        at += 2;
    }
    let next = text_at(tokens, at).to_owned();
    found.push(PathUse { segments, name, line, next, next_but_one: String::new() });
    at
}
