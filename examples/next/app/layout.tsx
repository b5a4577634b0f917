import type { Metadata } from "next";
import { headers } from "next/headers";
import type { ReactNode } from "react";
import { ConsentBanner, Firmsight } from "./firmsight";

export const metadata: Metadata = { title: "A Next.js app" };

export default async function RootLayout({ children }: { children: ReactNode }) {
  // Where middleware sets a Content-Security-Policy with a nonce; else leave these lines out.
  const nonce = (await headers()).get("x-nonce") ?? undefined;
  return (
    <html lang="en">
      <body>
        {children}
        <ConsentBanner />
        <Firmsight script="https://stats.example.com/lfa.js" site="SITE" consentRemember nonce={nonce} />
      </body>
    </html>
  );
}
