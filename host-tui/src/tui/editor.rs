//! `$EDITOR` on the text form of a checkpoint.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use flob_image::{Environment, Place};
use flob_session::Error;

use super::{store::Store, terminal};

/// Lets the user edit the text form of these flobs (all, if none are named). What comes back is the edited environment;
/// `None` if nothing was changed. A text that does not parse is opened again, with what is wrong in its first line.
pub fn edit(store: &dyn Store, checkpoint: &str, flobs: &[Place]) -> Result<Option<Environment>, Error> {
    let original = store.text(checkpoint, flobs)?;
    let file = TemporaryFile::new(checkpoint)?;
    let mut offered = original.clone();
    loop {
        let edited = file.edit(&offered)?;
        if edited == offered || edited == original {
            return Ok(None);
        }
        let text = without_complaint(&edited);
        match store.with_text(checkpoint, text) {
            Ok(environment) => return Ok(Some(environment)),
            Err(error) => offered = format!("{COMPLAINT}{}\n{text}", error.to_string().replace('\n', " ")),
        }
    }
}

const COMPLAINT: &str = "# WRONG: ";

fn without_complaint(text: &str) -> &str {
    match text.strip_prefix(COMPLAINT) {
        Some(rest) => rest.split_once('\n').map_or("", |(_, text)| text),
        None => text,
    }
}

/// A file that is removed when this is dropped.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(checkpoint: &str) -> Result<Self, Error> {
        let safe: String = checkpoint.chars().filter(char::is_ascii_alphanumeric).collect();
        let folder = env::temp_dir().join(format!("flob-edit-{}", std::process::id()));
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&folder) {
            Ok(()) => Ok(Self(folder.join(format!("{safe}.toml")))),
            Err(source) => Err(Error::Io { context: format!("making {}", folder.display()), source }),
        }
    }

    /// Writes a text, has it edited, and reads it back.
    fn edit(&self, text: &str) -> Result<String, Error> {
        let failed = |source| Error::Io { context: format!("editing {}", self.0.display()), source };
        fs::write(&self.0, text).map_err(failed)?;
        run(&self.0)?;
        fs::read_to_string(&self.0).map_err(failed)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        if let Some(folder) = self.0.parent() {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// `$VISUAL`, `$EDITOR` or vi, on the terminal itself.
fn run(file: &Path) -> Result<(), Error> {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
    let command = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".into());
    let tty = || terminal::open().map(Stdio::from);
    // The variable may hold arguments too, so a shell takes it apart, as git does.
    let status = Command::new("sh")
        .args(["-c", &format!("{command} \"$@\""), &command])
        .arg(file)
        .stdin(tty()?)
        .stdout(tty()?)
        .stderr(tty()?)
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            Err(Error::Environment(format!("the editor '{command}' failed ({status}); set EDITOR")))
        }
        Err(source) => Err(Error::Io { context: format!("starting the editor '{command}'"), source }),
    }
}
