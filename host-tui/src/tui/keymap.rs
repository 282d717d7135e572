//! Which keys each command has: those of the table of commands, or those that the config file gives it instead.

use crossterm::event::KeyEvent;

use super::commands::{COMMANDS, Command, Key};

/// The keys of all commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keymap {
    /// In the order of the table.
    keys: Vec<Vec<Key>>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self { keys: COMMANDS.iter().map(|command| command.keys.to_vec()).collect() }
    }
}

impl Keymap {
    /// Every command with its keys, in the order of the table.
    pub fn commands(&self) -> impl Iterator<Item = (&'static Command, &[Key])> {
        COMMANDS.iter().zip(self.keys.iter().map(Vec::as_slice))
    }

    /// The commands that a key may mean, in the order of the table.
    pub fn bound(&self, event: KeyEvent) -> impl Iterator<Item = &'static Command> {
        let is_bound = move |(_, keys): &(&'static Command, &[Key])| keys.iter().any(|key| key.is(event));
        self.commands().filter(is_bound).map(|(command, _)| command)
    }

    /// Gives a command other keys; false if none is called so.
    pub fn rebind(&mut self, name: &str, keys: Vec<Key>) -> bool {
        let found = COMMANDS.iter().zip(&mut self.keys).find(|(command, _)| command.name == name);
        found.map(|(_, slot)| *slot = keys).is_some()
    }

    /// Another command that a key of this one means as well, and the key. Commands that share a key in the table make sense in
    /// different places and may share any.
    pub fn conflict(&self, name: &str) -> Option<(Key, &'static Command)> {
        let (command, keys) = self.commands().find(|(command, _)| command.name == name)?;
        let others = || self.commands().filter(|(other, _)| other.name != name && !may_share(command, other));
        let taken = |key: &Key| {
            let (other, _) = others().find(|(_, keys)| keys.contains(key))?;
            Some((*key, other))
        };
        keys.iter().find_map(taken)
    }

    /// The first key of a command; if it has none, what is typed for it.
    fn label(&self, name: &str) -> Option<String> {
        let (_, keys) = self.commands().find(|(command, _)| command.name == name)?;
        Some(keys.first().map_or_else(|| format!(":{name}"), |key| key.label()))
    }

    /// A text with each `{command}` in it replaced by the command's key.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            filled.push_str(before);
            let named = behind.split_once('}').and_then(|(name, after)| Some((self.label(name)?, after)));
            match named {
                Some((label, after)) => {
                    filled.push_str(&label);
                    rest = after;
                }
                None => {
                    filled.push('{');
                    rest = behind;
                }
            }
        }
        filled + rest
    }
}

fn may_share(one: &Command, other: &Command) -> bool {
    one.keys.iter().any(|key| other.keys.contains(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_the_keys_that_commands_have_now() {
        let mut keymap = Keymap::default();
        assert_eq!(keymap.fill("{checkpoint save} saves, {no such} {"), "c saves, {no such} {");
        assert!(keymap.rebind("checkpoint save", vec![Key::control('s')]));
        assert!(keymap.rebind("pause", Vec::new()));
        assert_eq!(keymap.fill("{checkpoint save} or {pause}"), "^S or :pause");
        assert!(!keymap.rebind("save", Vec::new()));
    }

    #[test]
    fn the_table_itself_has_no_conflict() {
        let keymap = Keymap::default();
        for command in COMMANDS {
            assert_eq!(keymap.conflict(command.name).map(|(_, other)| other.name), None, "{}", command.name);
        }
    }
}
