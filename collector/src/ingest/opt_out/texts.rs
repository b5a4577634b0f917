//! The opt-out page's texts.

use super::super::language::Language;

/// One language.
pub(super) struct Texts {
    pub(super) title: &'static str,
    pub(super) explanation: &'static str,
    pub(super) stored_heading: &'static str,
    pub(super) nothing_stored: &'static str,
    /// Name, value, meaning, how long.
    pub(super) columns: [&'static str; 4],
    pub(super) until: &'static str,
    pub(super) choice_heading: &'static str,
    pub(super) objected: &'static str,
    pub(super) agreed: &'static str,
    pub(super) no_choice: &'static str,
    pub(super) global_privacy_control: &'static str,
    pub(super) object: &'static str,
    pub(super) object_effect: &'static str,
    pub(super) erase: &'static str,
    pub(super) erase_effect: &'static str,
    pub(super) allow: &'static str,
    pub(super) allow_effect: &'static str,
    pub(super) out_of_reach: &'static str,
    pub(super) done_objected: &'static str,
    pub(super) done_erased: &'static str,
    pub(super) done_allowed: &'static str,
    pub(super) languages: &'static str,
}

impl Texts {
    pub(super) const fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
            Language::French => &FRENCH,
        }
    }
}

const ENGLISH: Texts = Texts {
    title: "Your privacy on this website",
    explanation: "This website records which companies visit it. It looks at the network a visit comes from to find the \
                  company, and keeps the company, the pages and the time; it keeps no IP address. Homes and phones are \
                  left out.",
    stored_heading: "What is stored in this browser",
    nothing_stored: "Nothing of these statistics is stored in this browser.",
    columns: ["Name", "Value", "Meaning", "Kept for"],
    until: "until",
    choice_heading: "Your choice",
    objected: "You have objected: nothing is recorded of visits with this browser.",
    agreed: "You have agreed that visits with this browser are recorded.",
    no_choice: "You have not made a choice here.",
    global_privacy_control: "Your browser sends Global Privacy Control: without your express consent nothing is recorded \
                             of its visits.",
    object: "Object",
    object_effect: "Nothing more is recorded of visits with this browser. The objection is kept in a cookie named \
                    _lfa_consent, which this website and its server obey.",
    erase: "Object and erase",
    erase_effect: "The same, and what was recorded of visits with this browser is erased.",
    allow: "Take the objection back",
    allow_effect: "Removes the objection from this browser. The website then asks or records as it does for everybody.",
    out_of_reach: "This page and the website have different domains, so nothing can be changed from here. Please use the \
                   privacy settings on the website itself.",
    done_objected: "Done. Nothing more is recorded of visits with this browser.",
    done_erased: "Done. Nothing more is recorded of visits with this browser, and what was recorded of them is being \
                  erased.",
    done_allowed: "Done. Your objection is removed.",
    languages: "Languages",
};

const GERMAN: Texts = Texts {
    title: "Ihre Privatsphäre auf dieser Website",
    explanation: "Diese Website erfasst, welche Unternehmen sie besuchen. Das Unternehmen wird am Netz erkannt, aus dem \
                  ein Besuch kommt; aufbewahrt werden das Unternehmen, die Seiten und die Zeit, nicht die IP-Adresse. \
                  Private Anschlüsse und Mobiltelefone werden ausgelassen.",
    stored_heading: "Was in diesem Browser gespeichert ist",
    nothing_stored: "In diesem Browser ist nichts von dieser Statistik gespeichert.",
    columns: ["Name", "Wert", "Bedeutung", "Aufbewahrt"],
    until: "bis",
    choice_heading: "Ihre Wahl",
    objected: "Sie haben widersprochen: Besuche mit diesem Browser werden nicht erfasst.",
    agreed: "Sie haben zugestimmt, dass Besuche mit diesem Browser erfasst werden.",
    no_choice: "Sie haben hier keine Wahl getroffen.",
    global_privacy_control: "Ihr Browser sendet Global Privacy Control: Ohne Ihre ausdrückliche Zustimmung werden seine \
                             Besuche nicht erfasst.",
    object: "Widersprechen",
    object_effect: "Besuche mit diesem Browser werden nicht mehr erfasst. Der Widerspruch steht in einem Cookie namens \
                    _lfa_consent, nach dem sich diese Website und ihr Server richten.",
    erase: "Widersprechen und löschen",
    erase_effect: "Dasselbe, und was von Besuchen mit diesem Browser erfasst wurde, wird gelöscht.",
    allow: "Widerspruch zurücknehmen",
    allow_effect: "Entfernt den Widerspruch aus diesem Browser. Die Website fragt oder erfasst dann wie bei allen anderen.",
    out_of_reach: "Diese Seite und die Website haben verschiedene Domains, daher lässt sich von hier aus nichts ändern. \
                   Bitte nutzen Sie die Datenschutzeinstellungen der Website selbst.",
    done_objected: "Erledigt. Besuche mit diesem Browser werden nicht mehr erfasst.",
    done_erased: "Erledigt. Besuche mit diesem Browser werden nicht mehr erfasst, und was von ihnen erfasst wurde, wird \
                  gelöscht.",
    done_allowed: "Erledigt. Ihr Widerspruch ist entfernt.",
    languages: "Sprachen",
};

const FRENCH: Texts = Texts {
    title: "Votre vie privée sur ce site",
    explanation: "Ce site relève quelles entreprises le visitent. L’entreprise est reconnue au réseau d’où vient la \
                  visite ; sont conservés l’entreprise, les pages et l’heure, jamais l’adresse IP. Les accès privés et \
                  les téléphones sont laissés de côté.",
    stored_heading: "Ce qui est enregistré dans ce navigateur",
    nothing_stored: "Rien de ces statistiques n’est enregistré dans ce navigateur.",
    columns: ["Nom", "Valeur", "Signification", "Conservation"],
    until: "jusqu’au",
    choice_heading: "Votre choix",
    objected: "Vous vous êtes opposé : les visites avec ce navigateur ne sont pas relevées.",
    agreed: "Vous avez accepté que les visites avec ce navigateur soient relevées.",
    no_choice: "Vous n’avez pas fait de choix ici.",
    global_privacy_control: "Votre navigateur envoie Global Privacy Control : sans votre accord exprès, ses visites ne \
                             sont pas relevées.",
    object: "M’opposer",
    object_effect: "Les visites avec ce navigateur ne sont plus relevées. L’opposition est gardée dans un cookie nommé \
                    _lfa_consent, que ce site et son serveur respectent.",
    erase: "M’opposer et effacer",
    erase_effect: "De même, et ce qui a été relevé des visites avec ce navigateur est effacé.",
    allow: "Retirer l’opposition",
    allow_effect: "Supprime l’opposition de ce navigateur. Le site demande ou relève alors comme pour tout le monde.",
    out_of_reach: "Cette page et le site ont des domaines différents, rien ne peut donc être changé ici. Veuillez utiliser \
                   les réglages de confidentialité du site lui-même.",
    done_objected: "C’est fait. Les visites avec ce navigateur ne sont plus relevées.",
    done_erased: "C’est fait. Les visites avec ce navigateur ne sont plus relevées, et ce qui en a été relevé est en cours \
                  d’effacement.",
    done_allowed: "C’est fait. Votre opposition est supprimée.",
    languages: "Langues",
};
