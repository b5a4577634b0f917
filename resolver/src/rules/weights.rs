//! `decision_weights.csv`: the weights of the decision that belong to no word, type, label or range.

use super::file::rows;
use crate::ResolverError;
use geoip_data::rules::DECISION_WEIGHTS;
use std::collections::HashMap;

macro_rules! weights {
    ($($(#[$doc:meta])* $field:ident = $name:literal;)*) => {
        /// The rows of the file. What each is for stands there.
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct Weights {
            $($(#[$doc])* pub(crate) $field: f32,)*
        }

        impl Weights {
            pub(super) fn compile() -> Result<Self, ResolverError> {
                let mut found = HashMap::new();
                for row in rows(DECISION_WEIGHTS, 3)? {
                    if row.text(2).is_empty() || found.insert(row.text(0).to_owned(), row.number(1)?).is_some() {
                        return Err(row.error(format!("{} is there twice or without a source", row.text(0))));
                    }
                }
                let mut take = |name: &str| {
                    found.remove(name).ok_or_else(|| ResolverError::Rules {
                        file: DECISION_WEIGHTS.name,
                        line: 0,
                        reason: format!("there is no row {name}"),
                    })
                };
                let weights = Self { $($field: take($name)?,)* };
                match found.into_keys().next() {
                    None => Ok(weights),
                    Some(name) => Err(ResolverError::Rules {
                        file: DECISION_WEIGHTS.name,
                        line: 0,
                        reason: format!("nobody asks for the row {name}"),
                    }),
                }
            }
        }
    };
}

weights! {
    least_score = "least-score";
    operator_rule = "operator-rule";
    unmapped_company = "unmapped-company";
    hosting_in_the_map = "hosting-in-the-map";
    words_beside_the_map = "words-beside-the-map";
    operator_at_most = "operator-at-most";
    confirmed_crawler = "confirmed-crawler";
    strong_access_word = "strong-access-word";
    weak_word = "weak-word";
    in_carrier_domain = "in-carrier-domain";
    in_own_domain = "in-own-domain";
    in_unknown_domain = "in-unknown-domain";
    own_offices = "own-offices";
    own_name_server = "own-name-server";
    own_mail_host = "own-mail-host";
    spells_whole_address = "spells-whole-address";
    spells_part_of_address = "spells-part-of-address";
    counts_hosts = "counts-hosts";
    unconfirmed_share = "unconfirmed-share";
    words_share_in_own_domain = "words-share-in-own-domain";
    words_share_in_carrier_domain = "words-share-in-carrier-domain";
    domain_words_share = "domain-words-share";
    most_words = "most-words";
}
