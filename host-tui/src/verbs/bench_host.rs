//! `flob bench host`: real sessions in a world of their own, with the terminal interface in a pseudo-terminal.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use flob_session::{Client, Error, HubRequest};

use super::{bench::Row, bench_terminal::Terminal};

/// Sessions that are started.
const STARTS: usize = 3;
/// Keys that are pressed.
const KEYS: usize = 40;
/// Looks that are taken.
const LOOKS: usize = 40;
/// Checkpoints that are saved.
const SAVES: usize = 5;
/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// A screen on which nothing has come for so long stands still.
const QUIET: Duration = Duration::from_millis(60);

/// What is on screen in the first frame, and once the guest has been looked at.
const FRAME: &str = "Flobs";
const CONTENTS: &str = "philosopher-0";

/// All rows.
pub fn measure() -> Result<Vec<Row>, Error> {
    let folder = tempfile::tempdir().map_err(|error| Error::io("making a folder", error))?;
    let row = |name, method| Row { name, milliseconds: Vec::new(), method };
    let mut paint =
        row("first paint", "flob run philosophers 4 --deadlock in an 80x24 pty: start to its first frame");
    let mut contents = row("first contents", "the same: start to the first thread on screen");
    let mut keys = row("key to paint", "a key that changes the tab, to the first byte of what it draws");
    let mut looks =
        row("look round trip", "a Look request over the session's socket, nothing held, cache included");
    let mut saves = row("checkpoint save", "a Save request, deadlocked philosophers, to its id");
    for start in 0..STARTS {
        let (mut session, painted, filled) = Session::start(folder.path())?;
        paint.milliseconds.push(painted);
        contents.milliseconds.push(filled);
        if start == 0 {
            keys.milliseconds = session.press()?;
            looks.milliseconds = times(LOOKS, || session.client.look(false).map(drop))?;
            saves.milliseconds = times(SAVES, || {
                session.client.request(HubRequest::Save { name: None, when: None, full: false }).map(drop)
            })?;
        }
    }
    Ok(vec![paint, contents, keys, looks, saves])
}

/// A session with its screen. Both end when this is dropped.
struct Session {
    terminal: Terminal,
    client: Client,
}

impl Session {
    /// Starts it; milliseconds to the first frame and to the first contents.
    fn start(world: &Path) -> Result<(Self, f64, f64), Error> {
        let program =
            std::env::current_exe().map_err(|error| Error::io("finding flob's own program", error))?;
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(program).args(["-s", "bench", "run", "philosophers", "4", "--deadlock"]);
        command.env("XDG_RUNTIME_DIR", world).env("FLOB_STORE", world.join("store")).env("TERM", "xterm");
        let begin = Instant::now();
        let mut terminal = Terminal::start(command)?;
        terminal.wait_for(FRAME, PATIENCE)?;
        let painted = milliseconds(begin);
        let filled = terminal.wait_for(CONTENTS, PATIENCE);
        let client = Client::connect_path(&world.join("flob").join("bench.session"))?;
        let session = Self { terminal, client };
        filled?;
        Ok((session, painted, milliseconds(begin)))
    }

    fn press(&mut self) -> Result<Vec<f64>, Error> {
        let mut all = Vec::with_capacity(KEYS);
        for key in ["4", "1"].into_iter().cycle().take(KEYS) {
            self.terminal.wait_until_quiet(QUIET)?;
            let begin = Instant::now();
            self.terminal.press(key)?;
            self.terminal.wait_for_more(PATIENCE)?;
            all.push(milliseconds(begin));
        }
        Ok(all)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A session that has ended already needs no end.
        let _ = self.client.request(HubRequest::Shutdown);
        self.terminal.end();
    }
}

fn times(count: usize, mut work: impl FnMut() -> Result<(), Error>) -> Result<Vec<f64>, Error> {
    let once = |_| {
        let begin = Instant::now();
        work().map(|()| milliseconds(begin))
    };
    (0..count).map(once).collect()
}

fn milliseconds(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1000.0
}
