import fc from "fast-check";
import { addBitmapBytes, Bitmap, bitmapBytes } from "../../firmware/wire/bitmap";

const sizes = fc.integer({ min: 1, max: 300 });
const members = fc.array(fc.integer({ min: -5, max: 320 }), { maxLength: 120 });

function filled(size: number, list: number[]): [Bitmap, Set<number>] {
  const bitmap = new Bitmap(size);
  const model = new Set<number>();
  for (const i of list) {
    bitmap.put(i, true);
    if (i >= 0 && i < size) model.add(i);
  }
  return [bitmap, model];
}

test("agrees with a set of numbers", () => {
  fc.assert(
    fc.property(sizes, members, members, (size, added, removed) => {
      const [bitmap, model] = filled(size, added);
      for (const i of removed) {
        bitmap.put(i, false);
        model.delete(i);
      }
      expect(bitmap.count).toBe(model.size);
      for (let i = 0; i < size; i++) expect(bitmap.has(i)).toBe(model.has(i));
    }),
  );
});

test("common finds the first number in both sets", () => {
  fc.assert(
    fc.property(sizes, members, members, fc.nat(310), (size, one, two, from) => {
      const [a, setA] = filled(size, one);
      const [b, setB] = filled(size, two);
      let expected = -1;
      for (let i = size - 1; i >= from; i--) if (setA.has(i) && setB.has(i)) expected = i;
      expect(a.common(b, from)).toBe(expected);
    }),
  );
});

test("gap finds the first number that is missing", () => {
  fc.assert(
    fc.property(sizes, members, fc.nat(310), (size, list, from) => {
      const [a, model] = filled(size, list);
      let expected = -1;
      for (let i = size - 1; i >= from; i--) if (!model.has(i)) expected = i;
      expect(a.gap(from)).toBe(expected);
    }),
  );
});

test("the bytes of a set restore the set, of the inverse its complement; surplus bytes and bits are ignored", () => {
  fc.assert(
    fc.property(sizes, members, (size, list) => {
      const [a, model] = filled(size, list);
      const same = new Bitmap(size);
      addBitmapBytes(same, `${bitmapBytes(a, false)}\xff\xff`);
      const other = new Bitmap(size);
      addBitmapBytes(other, bitmapBytes(a, true));
      expect(same.count).toBe(model.size);
      expect(other.count).toBe(size - model.size);
      for (let i = 0; i < size; i++) {
        expect(same.has(i)).toBe(model.has(i));
        expect(other.has(i)).toBe(!model.has(i));
      }
    }),
  );
});
