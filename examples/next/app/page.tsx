import Link from "next/link";

export default function Page() {
  return (
    <main>
      <h1>A Next.js app</h1>
      <Link href="/pricing">Pricing</Link>
    </main>
  );
}
