"use client";

import { lfa, start, type StartOptions } from "@firmsight/tracker";
import { useEffect, useState } from "react";

/** Stands once in the app, wherever it likes. Changes of the route are counted without any more code. */
export function Firmsight(options: StartOptions) {
  // The tracker is put into the page once; later options of the same page would come too late.
  useEffect(() => start(options), []);
  return null;
}

const ANSWERED = "consent-answered";

/** A banner of the app's own; leave it out where a consent manager asks, which the tracker finds by itself. */
export function ConsentBanner() {
  const [isOpen, setOpen] = useState(false);
  useEffect(() => setOpen(localStorage.getItem(ANSWERED) === null), []);
  const answer = (choice: "granted" | "denied") => {
    lfa("consent", choice);
    localStorage.setItem(ANSWERED, "");
    setOpen(false);
  };
  if (!isOpen) return null;
  return (
    <section aria-label="Consent">
      <p>May we record which companies visit this website? The statistics stay on our own server.</p>
      <button onClick={() => answer("granted")}>Yes</button>
      <button onClick={() => answer("denied")}>No</button>
    </section>
  );
}
