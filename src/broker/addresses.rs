//! Which name a loopback address inside stands for. Brokered names have theirs from the launcher; an allowed name gets one when it
//! is asked for. An address never changes its name while the session lasts.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use anyhow::ensure;
use claudebox::net::name::{Name, Pattern};

use crate::rules::Service;

/// Where addresses for allowed names begin: after the first 256, which are left to the launcher.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 64, 1, 0);

/// How many allowed names one session can ask for. What is inside cannot make this process grow without end.
const NAMES_MAX: usize = 16_384;

/// What a connection is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meant {
    /// A brokered name.
    Brokered(Service, Name),
    /// A name that is allowed.
    Allowed(Name),
}

/// Why a name has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAddress {
    /// It is not allowed.
    NotAllowed,
    /// There are too many already.
    TooMany,
}

/// The table.
#[derive(Debug)]
pub struct Addresses {
    patterns: Vec<Pattern>,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    meant: HashMap<Ipv4Addr, Meant>,
    addresses: HashMap<Name, Ipv4Addr>,
}

impl Addresses {
    /// One with the brokered names in it.
    ///
    /// # Errors
    /// An address is not one of the loopback's, or stands for two names.
    pub fn new(brokered: Vec<(Name, Ipv4Addr)>, patterns: Vec<Pattern>) -> anyhow::Result<Self> {
        let mut table = Table::default();
        for (name, address) in brokered {
            let service = Service::of(&name);
            ensure!(
                address.is_loopback() && address < FIRST,
                "the address `{address}` is none for a brokered name"
            );
            if let Some(service) = service {
                let meant = Meant::Brokered(service, name.clone());
                ensure!(
                    table.meant.insert(address, meant).is_none() && table.addresses.insert(name, address).is_none(),
                    "the address `{address}` or its name is there twice"
                );
            }
        }
        Ok(Self {
            patterns,
            table: Mutex::new(table),
        })
    }

    /// What a connection to this address is for.
    pub fn meant(&self, address: Ipv4Addr) -> Option<Meant> {
        self.lock().meant.get(&address).cloned()
    }

    /// The address of a name, which gets one if it is allowed.
    pub fn of(&self, name: &Name) -> Result<Ipv4Addr, NoAddress> {
        let mut table = self.lock();
        if let Some(address) = table.addresses.get(name) {
            return Ok(*address);
        }
        if !self.patterns.iter().any(|pattern| pattern.matches(name)) {
            return Err(NoAddress::NotAllowed);
        }
        let count = table.addresses.len();
        let next = u32::try_from(count).ok().filter(|_| count < NAMES_MAX);
        let address = Ipv4Addr::from_bits(FIRST.to_bits() + next.ok_or(NoAddress::TooMany)?);
        table.addresses.insert(name.clone(), address);
        table.meant.insert(address, Meant::Allowed(name.clone()));
        Ok(address)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        // Nothing in here can panic half way through a change.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
