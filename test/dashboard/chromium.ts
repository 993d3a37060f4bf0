/** The browser of the tests: Debian's Chromium. Its absence fails in CI and is said elsewhere. */
import * as fs from "node:fs";
import { type Browser, chromium } from "playwright-core";

const PLACES = [process.env.CHROMIUM ?? "", "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A browser with a profile of its own, or null where there is none. @throws in CI */
export async function launchChromium(): Promise<Browser | null> {
  const executablePath = PLACES.find((place) => place !== "" && fs.existsSync(place));
  if (executablePath === undefined) {
    if (process.env.CI) throw new Error("Chromium is missing, and CI has to test with it");
    console.log("skipped: no Chromium. On Debian: apt-get install chromium; CHROMIUM=/path names another place.");
    return null;
  }
  return chromium.launch({ executablePath, args: FLAGS });
}
