/** Where the nodes of a scenario stand, in metres; node 0, the root, first. */
import type { Random } from "./random";

export interface Place {
  x: number;
  y: number;
}

/**
 * line: one after another; star: all on a circle around the root; grid: square rows, the root in the middle of the
 * first; random: anywhere on a square, the root in its centre.
 */
export function places(
  shape: "line" | "star" | "grid" | "random",
  count: number,
  spacing: number,
  random: Random,
): Place[] {
  const side = Math.ceil(Math.sqrt(count));
  return Array.from({ length: count }, (_, i) => {
    if (shape === "line") return { x: i * spacing, y: 0 };
    if (shape === "star") {
      const angle = (2 * Math.PI * i) / Math.max(1, count - 1);
      return i === 0 ? { x: 0, y: 0 } : { x: spacing * Math.cos(angle), y: spacing * Math.sin(angle) };
    }
    if (shape === "random") {
      const half = spacing / 2;
      return i === 0 ? { x: 0, y: 0 } : { x: random.next() * spacing - half, y: random.next() * spacing - half };
    }
    return { x: (i % side) * spacing, y: Math.floor(i / side) * spacing };
  });
}
