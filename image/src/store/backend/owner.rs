//! Who holds a lease: enough to find out, on the same machine, that it has died.

use std::fs;

/// A process: boot of its machine, its namespace of process numbers, its number and when it started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// What process numbers mean something in.
    realm: String,
    process: u32,
    started: String,
}

impl Owner {
    /// This process; `None` where the system does not tell.
    pub fn this() -> Option<Self> {
        let process = std::process::id();
        Some(Self { realm: realm()?, process, started: started(process)? })
    }

    /// As a line of text.
    pub fn to_line(&self) -> String {
        format!("{} {} {}", self.realm, self.process, self.started)
    }

    /// What [`Owner::to_line`] made.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (realm, process, started) = (words.next()?, words.next()?, words.next()?);
        Some(Self { realm: realm.to_owned(), process: process.parse().ok()?, started: started.to_owned() })
    }

    /// Whether it is known to be gone. Of a process elsewhere nothing is known.
    pub fn is_gone(&self) -> bool {
        realm().is_some_and(|here| here == self.realm)
            && started(self.process).is_none_or(|started| started != self.started)
    }
}

fn realm() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let numbers = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), numbers.to_str()?))
}

/// When a process started, in the system's ticks; `None` if there is none, or it has ended and nobody has asked for its end.
fn started(process: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in brackets, may contain anything. Behind it the state is the first field, the start the twentieth.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    if state == "Z" || state == "X" { None } else { fields.nth(18).map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn process_that_has_ended_is_gone_and_this_one_is_not() {
        let this = Owner::this().expect("this process");
        assert!(!this.is_gone());
        assert_eq!(Owner::parse(&this.to_line()), Some(this.clone()));
        let mut child = Command::new("true").spawn().expect("a process");
        let process = child.id();
        let owner = Owner { process, started: "7".into(), ..this.clone() };
        child.wait().expect("its end");
        assert!(owner.is_gone());
        assert!(
            !Owner { realm: "elsewhere".into(), ..owner }.is_gone(),
            "nothing is known of another machine"
        );
        assert!(Owner { started: "7".into(), ..this }.is_gone(), "another process has its number");
    }
}
