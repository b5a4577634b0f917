//! An objection as it is stored: that of a single address is sealed.
//!
//! A network of one address is somebody's address, which is written nowhere in clear. Its matching needs the address itself, so that
//! it is sealed with the master key and not hashed: who has the store alone learns nothing, not even by trying all addresses.

use crate::{
    objection::Objection,
    sealing::{MasterKey, SealingError},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// What a sealed objection is for.
const CONTEXT: &[u8] = b"firmsight objection";

/// The form in ClickHouse and in the copy on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum StoredObjection {
    /// Base64 of the sealed objection of a single address.
    Sealed {
        /// The text.
        sealed: String,
    },
    /// Any other.
    Plain(Objection),
}

impl StoredObjection {
    pub(super) fn of(objection: &Objection, key: &MasterKey) -> Self {
        match objection {
            Objection::Network(network) if is_single(objection) => {
                Self::Sealed { sealed: STANDARD.encode(key.seal(CONTEXT, network.to_string().as_bytes())) }
            }
            other => Self::Plain(other.clone()),
        }
    }

    /// The objection itself.
    pub(super) fn open(self, key: &MasterKey) -> Result<Objection, SealingError> {
        match self {
            Self::Plain(objection) => Ok(objection),
            Self::Sealed { sealed } => {
                let sealed = STANDARD.decode(sealed).map_err(|_| SealingError::Refused)?;
                let plain = key.open(CONTEXT, &sealed)?;
                let text = std::str::from_utf8(&plain).map_err(|_| SealingError::Refused)?;
                text.parse().map(Objection::of_network).map_err(|_| SealingError::Refused)
            }
        }
    }
}

/// The key under which an objection is stored, the same each time.
pub(super) fn stored_id(objection: &Objection, key: &MasterKey) -> String {
    if !is_single(objection) {
        return objection.to_string();
    }
    let purpose = format!("firmsight objection {objection}");
    let id: String = key.derive(purpose.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("address:{id}")
}

/// Whether it is of one address, or of the /64 that one subscriber has.
pub(super) fn is_single(objection: &Objection) -> bool {
    match objection {
        Objection::Network(ipnet::IpNet::V4(network)) => network.prefix_len() == 32,
        Objection::Network(ipnet::IpNet::V6(network)) => network.prefix_len() >= 64,
        Objection::Domain(_) | Objection::Visitor(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_address_is_stored_sealed_and_everything_else_as_it_is() {
        let key = MasterKey::from_bytes([7; 32]);
        for (network, is_sealed) in [
            ("192.0.2.77/32", true),
            ("2001:db8::77/128", true),
            ("2001:db8::/64", true),
            ("192.0.2.0/24", false),
            ("2001:db8::/48", false),
        ] {
            let objection = Objection::of_network(network.parse().unwrap());
            let stored = StoredObjection::of(&objection, &key);
            let text = serde_json::to_string(&stored).unwrap() + &stored_id(&objection, &key);
            assert_eq!(!text.contains("192.0.2") && !text.contains("2001:db8"), is_sealed, "{text}");
            let again: StoredObjection = serde_json::from_str(&serde_json::to_string(&stored).unwrap()).unwrap();
            assert_eq!(again.open(&key).unwrap(), objection);
            assert_eq!(stored_id(&objection, &key), stored_id(&objection, &key));
        }
        let domain = Objection::of_domain("acme.example").unwrap();
        assert_eq!(StoredObjection::of(&domain, &key), StoredObjection::Plain(domain));
    }

    #[test]
    fn trying_all_addresses_of_a_network_finds_no_stored_one_without_the_key() {
        let key = MasterKey::from_bytes([7; 32]);
        let objection = Objection::of_network("192.0.2.77/32".parse().unwrap());
        let stored = stored_id(&objection, &key);
        let other = MasterKey::from_bytes([0; 32]);
        for address in 0..=u16::MAX {
            let guess =
                Objection::of_network(std::net::IpAddr::from([192, 0, (address >> 8) as u8, address as u8]).into());
            assert_ne!(stored_id(&guess, &other), stored);
            assert!(!stored.contains(&guess.to_string()));
        }
    }
}
