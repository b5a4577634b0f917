// A banner of the site's own, which tells the tracker itself, as docs/tracker.md says.
import { ask, chosen } from "../buttons.js";

window.lfa = window.lfa || ((...call) => (window.lfa.q = window.lfa.q || []).push(call));
const tell = (choice) => window.lfa("consent", choice == "accept" ? "granted" : "denied", "manager");

if (chosen()) tell(chosen());
ask(tell);
