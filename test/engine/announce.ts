import { engineHint } from "./support";

/** Once before all engine tests: why they will be skipped. */
export default function announce(): void {
  if (!process.env.ESPRUINO) process.stderr.write(`${engineHint}\n\n`);
}
