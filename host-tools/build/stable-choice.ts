/**
 * Choices that stay what they were when something else comes or goes, without a record of earlier ones: each key has an
 * order of its own in which it likes the places, and takes the first that is free. A key that comes or goes moves only
 * the few whose places it takes or leaves.
 */

/** FNV-1a with a final mix; 0..2^32-1. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 15), 0x2c1b3c6d);
  return (value ^ (value >>> 13)) >>> 0;
}

/** The place, 0..size-1, that a key likes best of those that are free, of which there must be one. */
export function preferred(key: string, size: number, free: (place: number) => boolean): number {
  for (let i = 0; ; i++) {
    const place = hash(`${i}${key}`) % size;
    if (free(place)) return place;
  }
}

/** Places, 0..size-1, for keys that are all different; `size` is at least their number. */
export function placesFor(keys: readonly string[], size: number): Map<string, number> {
  // The likings go beyond the places there are, so that they stay when `size` grows.
  let space = 1024;
  while (space < size) space *= 2;
  const taken = new Set<number>();
  const places = new Map<string, number>();
  for (const key of [...keys].sort()) {
    const place = preferred(key, space, (one) => one < size && !taken.has(one));
    taken.add(place);
    places.set(key, place);
  }
  return places;
}
