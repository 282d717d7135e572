//! The config file: keys and looks. Every mistake in it is told with its line and its key, and nothing is started then.

use std::{
    env, fs,
    io::ErrorKind,
    ops::Range,
    path::{Path, PathBuf},
};

use flob_session::Error;
use toml_edit::{Document, Item, Table, Value};

use super::{
    commands::{COMMANDS, Key},
    keymap::Keymap,
    theme::Theme,
};

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The keys.
    pub keymap: Keymap,
    /// Colours, whatever the environment says.
    pub colour: Option<bool>,
    /// Signs beyond ASCII, whatever the environment says.
    pub unicode: Option<bool>,
    /// The terminal keeps the mouse to itself.
    pub without_mouse: bool,
}

const SAMPLE_HEAD: &str = "\
# The terminal interface of flob. Whatever is left out is as it is here.
[screen]
# Without these two lines: as the environment says (NO_COLOR, LANG).
# colour = true
# unicode = true
# false: the terminal keeps the mouse to itself, to mark text with it.
mouse = true

# Each command's keys; [] for none: it can still be typed behind ':'.
[keys]
";

/// What is wrong, and in which bytes of the file.
type Wrong = (Option<Range<usize>>, String);

/// `$XDG_CONFIG_HOME/flob/config.toml`, by default in `~/.config`; `None` if there is no home either.
pub fn path() -> Option<PathBuf> {
    let folder = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(base.join("flob").join("config.toml"))
}

/// A file that says what is so by default: each line of it can be changed or left out.
pub fn sample() -> String {
    let mut text = String::from(SAMPLE_HEAD);
    for command in COMMANDS {
        let keys: Vec<String> = command.keys.iter().map(|key| Value::from(key.label()).to_string()).collect();
        text.push_str(&format!("# {}\n\"{}\" = [{}]\n", command.help, command.name, keys.join(", ")));
    }
    text
}

impl Config {
    /// Reads the file. Without one everything is as it is by default.
    pub fn load() -> Result<Self, Error> {
        path().map_or(Ok(Self::default()), |path| Self::read(&path))
    }

    /// Reads this file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::io(format!("reading {}", path.display()), error)),
        };
        Self::parse(&text).map_err(|trouble| Error::BadInput(format!("{}, {trouble}", path.display())))
    }

    /// Reads a text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document = Document::parse(text)
            .map_err(|error| (error.span(), first_line(error.message()).to_owned()))
            .map_err(|wrong| told(text, wrong))?;
        let mut config = Self::default();
        config.take(document.as_table()).map_err(|wrong| told(text, wrong))?;
        Ok(config)
    }

    /// What the screen looks like.
    pub fn theme(&self) -> Theme {
        let by_environment = Theme::from_environment();
        Theme {
            colour: self.colour.unwrap_or(by_environment.colour),
            unicode: self.unicode.unwrap_or(by_environment.unicode),
        }
    }

    fn take(&mut self, root: &Table) -> Result<(), Wrong> {
        for (name, item) in root {
            let span = || span(root, name);
            match (name, item.as_table()) {
                ("screen", Some(table)) => self.screen(table)?,
                ("keys", Some(table)) => self.keys(table)?,
                ("screen" | "keys", None) => {
                    return Err((
                        span(),
                        format!("'{name}' is a table: write [{name}] on a line of its own"),
                    ));
                }
                _ => return Err((span(), format!("there is no '{name}': [screen] and [keys] can be set"))),
            }
        }
        Ok(())
    }

    fn screen(&mut self, table: &Table) -> Result<(), Wrong> {
        for (name, item) in table {
            let switch = || item.as_bool().ok_or_else(|| (item.span(), format!("'{name}' is true or false")));
            match name {
                "colour" => self.colour = Some(switch()?),
                "unicode" => self.unicode = Some(switch()?),
                "mouse" => self.without_mouse = !switch()?,
                _ => {
                    let all = "colour, unicode and mouse can be set";
                    return Err((span(table, name), format!("there is no 'screen.{name}': {all}")));
                }
            }
        }
        Ok(())
    }

    fn keys(&mut self, table: &Table) -> Result<(), Wrong> {
        for (name, item) in table {
            let keys = keys(name, item)?;
            if !self.keymap.rebind(name, keys) {
                let text = format!("there is no command '{name}': '?' in the interface lists them");
                return Err((span(table, name), text));
            }
        }
        for (name, item) in table {
            if let Some((key, other)) = self.keymap.conflict(name) {
                let (key, other) = (key.label(), other.name);
                let text = format!("'{key}' of '{name}' is a key of '{other}' too: give one of them another");
                return Err((item.span(), text));
            }
        }
        let is_mute = |name| self.keymap.fill(name).starts_with(':');
        if is_mute("{quit}") && is_mute("{command}") && is_mute("{palette}") {
            return Err((None, "nothing leads out: 'quit', 'command' or 'palette' needs a key".to_owned()));
        }
        Ok(())
    }
}

/// A key, or a list of keys; an empty list takes all keys away.
fn keys(name: &str, item: &Item) -> Result<Vec<Key>, Wrong> {
    let wrong = |span, text: &str| (span, format!("the keys of '{name}' {text}"));
    let one = |value: &Value| {
        let text =
            value.as_str().ok_or_else(|| wrong(value.span(), "are texts, like \"x\", \"^X\" or \"F5\""))?;
        let key = Key::parse(text).ok_or_else(|| {
            let text = format!("cannot be '{text}': say x, ^X, A-x, F5, Enter, Space, PgUp, S-Tab …");
            wrong(value.span(), &text)
        })?;
        match key.same_to_terminals() {
            Some(other) => {
                let (key, other) = (key.label(), other.label());
                Err(wrong(value.span(), &format!("cannot be '{key}': terminals send {other} for it")))
            }
            None => Ok(key),
        }
    };
    match item.as_value() {
        Some(Value::Array(several)) => several.iter().map(one).collect(),
        Some(value) => one(value).map(|key| vec![key]),
        None => Err(wrong(item.span(), "are a text or a list of texts")),
    }
}

/// Where the name of an entry stands.
fn span(table: &Table, name: &str) -> Option<Range<usize>> {
    table.key(name).and_then(|key| key.span())
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn told(text: &str, (span, what): Wrong) -> String {
    let before = span.and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!("line {}: {what}", before.matches('\n').count() + 1),
        None => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_and_looks_are_taken() {
        let text = "[screen]\ncolour = false\nmouse = false\n[keys]\npause = \"F5\"\n\"checkpoint save\" = ['^S', 'C']\n";
        let config = Config::parse(text).expect("a good file");
        assert_eq!((config.colour, config.unicode, config.without_mouse), (Some(false), None, true));
        assert_eq!(config.keymap.fill("{pause} {checkpoint save} {resume}"), "F5 ^S r");
        assert_eq!(Config::parse(""), Ok(Config::default()));
    }

    #[test]
    fn the_sample_says_what_is_so_by_default() {
        assert_eq!(Config::parse(&sample()), Ok(Config::default()));
        let other = sample()
            .replace("# colour = true", "colour = false")
            .replace("\"pause\" = [", "\"pause\" = [\"F5\", ");
        let other = Config::parse(&other).expect("still a good file");
        assert_eq!((other.colour, other.keymap.fill("{pause}")), (Some(false), "F5".to_owned()));
    }

    #[test]
    fn each_mistake_is_told_with_its_line_and_its_key() {
        let mistakes = [
            ("[screen]\n\ncolour = 3\n", "line 3: 'colour' is true or false"),
            ("[screen]\ncolor = true\n", "line 2: there is no 'screen.color'"),
            ("keys = 3\n", "line 1: 'keys' is a table"),
            ("[kyes]\n", "line 1: there is no 'kyes'"),
            ("[keys]\n\nsave = 'x'\n", "line 3: there is no command 'save'"),
            ("[keys]\npause = 3\n", "line 2: the keys of 'pause' are texts"),
            ("[keys]\npause = [\n'F5',\n'Hyper-x']\n", "line 4: the keys of 'pause' cannot be 'Hyper-x'"),
            ("[keys]\npause = '^I'\n", "line 2: the keys of 'pause' cannot be '^I': terminals send Tab"),
            (
                "[keys]\nresume = 'F5'\npause = 'r'\nstep = 'r'\n",
                "line 3: 'r' of 'pause' is a key of 'step' too",
            ),
            ("[keys]\npause = 's'\n", "line 2: 's' of 'pause' is a key of 'step' too"),
            ("[keys]\npause 's'\n", "line 2: "),
            ("[keys]\nquit = []\ncommand = []\npalette = []\n", "nothing leads out"),
        ];
        for (text, told) in mistakes {
            let error = Config::parse(text).expect_err(text);
            assert!(error.starts_with(told), "{text}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn commands_that_share_a_key_may_share_another() {
        let text = "[keys]\nfold = 'z'\nfreeze = 'z'\nmark = 'z'\n";
        assert!(Config::parse(text).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in any::<String>()) {
            let _ = Config::parse(&text);
        }

        #[test]
        fn no_binding_is_a_panic(name in "[a-z ]{0,8}|pause|quit", key in any::<String>()) {
            let text = format!("[keys]\n{name:?} = {key:?}\n[screen]\n{name:?} = {key:?}\n");
            let _ = Config::parse(&text);
        }
    }
}
