//! Name servers and mail hosts: `ns1.acme.example`, `mx-2.acme.example`, `mail.acme.example`.
//!
//! Who runs its own, under its own name, has a network of its own. It says little: an Internet provider has such hosts too
//! and rents them to its customers, so the weight is small, and in a carrier's domain there is none.

/// What a host does for its domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnHost {
    NameServer,
    MailHost,
}

/// First labels of name servers (RFC 1912 names none; these are what zones have), without a number behind them.
const NAME_SERVERS: [&str; 7] = ["ns", "dns", "nameserver", "pns", "sns", "pdns", "sdns"];
/// First labels of mail hosts (RFC 2142 gives the services their names), without a number behind them.
const MAIL_HOSTS: [&str; 8] = ["mx", "mta", "imap", "pop", "pop3", "exchange", "listserv", "lists"];
/// Parts of first labels of mail hosts: `webmail`, `mailgate`, `smtp-out`.
const MAIL_PARTS: [&str; 2] = ["mail", "smtp"];

impl OwnHost {
    /// What the host does by what stands left of its registrable domain, with its final dot.
    pub(super) fn of(host: &str) -> Option<Self> {
        let label = host.split('.').next().filter(|label| !label.is_empty())?;
        let word = label.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '-');
        if NAME_SERVERS.contains(&word) {
            Some(Self::NameServer)
        } else if MAIL_HOSTS.contains(&word) || MAIL_PARTS.iter().any(|part| label.contains(part)) {
            Some(Self::MailHost)
        } else {
            None
        }
    }

    pub(super) const fn statement(self) -> &'static str {
        match self {
            Self::NameServer => "the name is that of its domain's name server",
            Self::MailHost => "the name is that of its domain's mail host",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_and_mail_hosts_are_known_by_their_first_label() {
        for (host, expected) in [
            ("ns.", Some(OwnHost::NameServer)),
            ("ns1.", Some(OwnHost::NameServer)),
            ("dns-2.hq.", Some(OwnHost::NameServer)),
            ("mx.", Some(OwnHost::MailHost)),
            ("mx-03.", Some(OwnHost::MailHost)),
            ("webmail.", Some(OwnHost::MailHost)),
            ("smtp-out2.eu.", Some(OwnHost::MailHost)),
            ("nsa.", None),
            ("answers.", None),
            ("www.", None),
            ("host.mail.", None),
            ("", None),
        ] {
            assert_eq!(OwnHost::of(host), expected, "{host}");
        }
    }
}
