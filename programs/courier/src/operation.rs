//! Taking both ends of a transfer out, and putting them back: state and links of each; both are destroyed, and made anew from that.

use flob_program_shared::Failure;
use flob_runtime::abi::flob::MAX_LINKS;
use flob_runtime::abi::state::thread_flag;
use flob_runtime::abi::{Status, ThreadState, ipc};
use flob_runtime::flob::{FlobAt, Links, OwnedReference, Thread};

/// Both ends: the sender and the receiver.
pub struct Patients {
    patients: [Patient; 2],
    /// What is sent, in all.
    bytes: u64,
}

struct Patient {
    thread: FlobAt<Thread>,
    /// Leads to the thread.
    own: OwnedReference,
    links: [OwnedReference; MAX_LINKS],
    state: ThreadState,
    /// Which of the links lead to which of the two.
    leads_to: [Option<usize>; MAX_LINKS],
}

impl Patient {
    fn new(thread: FlobAt<Thread>) -> Result<Self, Status> {
        let one = || OwnedReference::new();
        let links = [one()?, one()?, one()?, one()?, one()?, one()?];
        Ok(Self { thread, own: one()?, links, state: ThreadState::default(), leads_to: [None; MAX_LINKS] })
    }

    fn references(&self) -> Links {
        Links::of(&self.links.each_ref().map(OwnedReference::at))
    }

    /// Whether it stands in a step of the transfer, so that it holds nothing that would be lost with it.
    fn is_in_call(&self) -> bool {
        let call = self.state.registers.rax;
        call & ipc::IPC != 0 && call & (ipc::SEND | ipc::RECEIVE) != 0
    }
}

impl Patients {
    /// These two, the one of which sends so many bytes.
    pub fn new(sender: FlobAt<Thread>, receiver: FlobAt<Thread>, bytes: u64) -> Result<Self, Status> {
        Ok(Self { patients: [Patient::new(sender)?, Patient::new(receiver)?], bytes })
    }

    /// Takes both out and puts them back, if both are in the transfer. Whether that was in the middle of it.
    pub fn operate(&mut self) -> Result<bool, Failure> {
        for patient in &mut self.patients {
            patient.thread.reference(patient.own.at())?;
            patient.state = patient.thread.get_state(&patient.references())?;
        }
        let anew = self.patients.iter().all(Patient::is_in_call);
        if anew {
            self.note_links();
            for patient in &self.patients {
                patient.thread.destroy()?;
            }
            self.make_anew()?;
        }
        for patient in &self.patients {
            patient.thread.resume(patient.state.flags & thread_flag::EXCEPTIONS_ENABLED != 0)?;
        }
        let [sender, _] = &self.patients;
        let left = sender.state.registers.rdx;
        Ok(anew && (1..self.bytes).contains(&left))
    }

    /// A reference to what is gone is null: which led to the two must be known before.
    fn note_links(&mut self) {
        let owns = self.patients.each_ref().map(|patient| patient.own.at());
        for patient in &mut self.patients {
            for (link, leads_to) in patient.links.iter().zip(&mut patient.leads_to) {
                *leads_to = owns.iter().position(|own| !link.at().is_null() && link.at().same_as(*own));
            }
        }
    }

    fn make_anew(&mut self) -> Result<(), Failure> {
        let threads = self.patients.each_ref().map(|patient| patient.thread);
        for patient in &self.patients {
            patient.thread.create_with_hash(patient.state.hash)?;
        }
        for patient in &self.patients {
            for (link, leads_to) in patient.links.iter().zip(patient.leads_to) {
                if let Some(thread) = leads_to.and_then(|which| threads.get(which)) {
                    thread.reference(link.at())?;
                }
            }
            let mut state = patient.state;
            state.flags |= thread_flag::STOPPED;
            patient.thread.set_state(&state, &patient.references())?;
        }
        Ok(())
    }
}
