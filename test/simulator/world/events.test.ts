import fc from "fast-check";
import { EventQueue } from "../../../host-tools/simulator/events";
import { Random } from "../../../host-tools/simulator/random";

describe("EventQueue", () => {
  test("runs by time, then by order of scheduling", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 })), (times) => {
        const queue = new EventQueue();
        const ran: [number, number][] = [];
        times.forEach((time, index) => queue.at(time, () => ran.push([time, index])));
        queue.run(20);
        const expected = times.map((time, index) => [time, index]).sort((a, b) => a[0]! - b[0]! || a[1]! - b[1]!);
        expect(ran).toEqual(expected);
      }),
    );
  });

  test("leaves out what was cancelled, however much that is", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 50 }), fc.boolean()), { maxLength: 400 }), (plan) => {
        const queue = new EventQueue();
        const ran: number[] = [];
        const events = plan.map(([time], index) => queue.at(time, () => ran.push(index)));
        plan.forEach(([, cancel], index) => cancel && queue.cancel(events[index]!));
        expect(queue.size).toBe(plan.filter(([, cancel]) => !cancel).length);
        queue.run(50);
        expect(ran.length).toBe(plan.filter(([, cancel]) => !cancel).length);
        expect(queue.size).toBe(0);
      }),
    );
  });

  test("an event in the past runs now, and time never goes back", () => {
    const queue = new EventQueue();
    const seen: number[] = [];
    queue.at(10, () => queue.at(3, () => seen.push(queue.now())));
    queue.run(25.5);
    expect(seen).toEqual([10]);
    expect(queue.now()).toBe(25.5);
    expect(() => queue.at(NaN, () => {})).toThrow(RangeError);
  });

  test("cancelling twice, or after the event ran, changes nothing", () => {
    const queue = new EventQueue();
    let runs = 0;
    const event = queue.after(1, () => runs++);
    queue.run(2);
    queue.cancel(event);
    queue.cancel(event);
    queue.after(1, () => runs++);
    expect(queue.size).toBe(1);
    queue.run(5);
    expect(runs).toBe(2);
  });
});

describe("Random", () => {
  test("streams depend on seed and name only", () => {
    const a = new Random(5);
    const early = a.stream("x").uint32();
    a.next();
    a.stream("y").next();
    expect(a.stream("x").uint32()).toBe(early);
    expect(new Random(5).stream("x").uint32()).toBe(early);
    expect(new Random(6).stream("x").uint32()).not.toBe(early);
    expect(new Random(5).stream("z").uint32()).not.toBe(early);
  });

  test("draws evenly over its range", () => {
    const random = new Random("even");
    const counts = new Array<number>(16).fill(0);
    for (let i = 0; i < 16000; i++) counts[random.below(16)]!++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });

  test("normal and exponential draws have the moments they should", () => {
    const random = new Random("moments");
    let sum = 0;
    let squares = 0;
    let waits = 0;
    for (let i = 0; i < 20000; i++) {
      const x = random.normal();
      sum += x;
      squares += x * x;
      waits += random.exponential(3);
    }
    expect(Math.abs(sum / 20000)).toBeLessThan(0.03);
    expect(Math.abs(squares / 20000 - 1)).toBeLessThan(0.05);
    expect(Math.abs(waits / 20000 - 3)).toBeLessThan(0.1);
  });
});
