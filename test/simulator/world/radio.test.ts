import { exchangeAirtime, frameAirtime } from "../../../host-tools/simulator/airtime";
import { EventQueue } from "../../../host-tools/simulator/events";
import { LossTable, type LossModel } from "../../../host-tools/simulator/loss";
import {
  Radio,
  TRANSMIT_QUEUE,
  type Frame,
  type RadioOptions,
  type Transmitter,
} from "../../../host-tools/simulator/radio";
import { Random } from "../../../host-tools/simulator/random";

function transmitter(id: number, x?: number): Transmitter {
  const mac = `02:00:00:00:00:0${id}`;
  return {
    id,
    mac,
    x,
    y: x === undefined ? undefined : 0,
    transmitPower: 19.5,
    channel: 6,
    on: true,
    awayUntil: () => 0,
  };
}

function setUp(options: RadioOptions = {}) {
  const events = new EventQueue();
  const radio = new Radio(events, new Random(1), { shadowingDb: 0, throughputKbps: 691, ...options });
  return { events, radio };
}

function group(receivers: Transmitter[], bytes: number, done: Frame["done"]): Frame {
  return { to: null, bytes, kind: "group", group: () => receivers, done };
}

describe("airtime", () => {
  test("of the frames that the facts state", () => {
    // 64-byte status and 1400-byte datagram at 1 Mb/s with UDP, IP, 802.11 and CCMP around them.
    expect(frameAirtime(64 + 64 - 16, 1)).toBeCloseTo(1.088, 3);
    expect(frameAirtime(1400 + 64, 1)).toBeCloseTo(11.904, 3);
    expect(exchangeAirtime(100, 1)).toBeCloseTo(frameAirtime(100, 1) + 0.314, 6);
    // ERP-OFDM 54 Mb/s: 216 bits a symbol.
    expect(frameAirtime(1500, 54)).toBeCloseTo(0.026 + 0.004 * Math.ceil((22 + 12000) / 216), 6);
    expect(() => frameAirtime(10, 7)).toThrow(RangeError);
  });
});

describe("Radio", () => {
  // Espressif's figures for 1 Mb/s: the undisturbed ceiling, a shielded box, the open.
  test.each([691, 555, 214])("one sender gets through what the site allows: %d kb/s", (throughputKbps) => {
    const { events, radio } = setUp({ throughputKbps });
    const [a, b] = [transmitter(1), transmitter(2)];
    let bytes = 0;
    const send = (): void => {
      radio.send(
        a,
        group([b], 1470 + 64, (got) => ((bytes += got.length * 1470), send())),
      );
    };
    send();
    events.run(60_000);
    const kbps = (bytes * 8) / 60_000;
    // A longer datagram than the one of the 691 kb/s figure carries a little more.
    expect(kbps).toBeGreaterThan(throughputKbps * 0.95);
    expect(kbps).toBeLessThan(throughputKbps * 1.4);
  });

  test("senders that hear each other take turns", () => {
    const { events, radio } = setUp();
    const [a, b, c] = [transmitter(1), transmitter(2), transmitter(3)];
    let got = 0;
    for (let i = 0; i < 30; i++) {
      radio.send(
        a,
        group([c], 500, (r) => (got += r.length)),
      );
      radio.send(
        b,
        group([c], 500, (r) => (got += r.length)),
      );
    }
    events.run(10_000);
    // Both start in the same slot once in some 30 frames.
    expect(got).toBeGreaterThan(50);
    expect(got).toBe(60 - radio.statistics.collisions);
    expect(radio.statistics.airtime).toBeCloseTo(60 * frameAirtime(500), 6);
  });

  test("hidden senders collide at the receiver between them, exposed receivers are spared", () => {
    // Hearing ends at about 354 m, carrier sense at 111 m.
    const { events, radio } = setUp();
    const [left, middle, right] = [transmitter(1, 0), transmitter(2, 100), transmitter(3, 200)];
    const near = transmitter(4, 1);
    let atMiddle = 0;
    let atNear = 0;
    for (let i = 0; i < 20; i++) {
      radio.send(
        left,
        group([middle, near], 1000, (r) => {
          for (const one of r)
            if (one === middle) atMiddle++;
            else atNear++;
        }),
      );
      radio.send(
        right,
        group([middle], 1000, (r) => (atMiddle += r.length)),
      );
    }
    events.run(10_000);
    expect(atMiddle).toBeLessThan(8);
    expect(atNear).toBe(20);
  });

  test("a frame to one receiver is repeated up to seven times, a group frame never", () => {
    const { events, radio } = setUp({ loss: 1 });
    const [a, b] = [transmitter(1), transmitter(2)];
    const ends: number[] = [];
    radio.send(a, { to: b, bytes: 100, kind: "tcp", done: (got) => ends.push(got.length) });
    radio.send(
      a,
      group([b], 100, (got) => ends.push(got.length)),
    );
    events.run(1000);
    expect(ends).toEqual([0, 0]);
    expect(radio.statistics.byKind["tcp"]!.frames).toBe(7);
    expect(radio.statistics.byKind["group"]!.frames).toBe(1);
    expect(radio.statistics.undelivered).toBe(1);
  });

  test("a full queue, or a radio that is off, refuses frames", () => {
    const { events, radio } = setUp();
    const [a, b] = [transmitter(1), transmitter(2)];
    let taken = 0;
    for (let i = 0; i < TRANSMIT_QUEUE + 5; i++)
      if (
        radio.send(
          a,
          group([b], 100, () => {}),
        )
      )
        taken++;
    expect(taken).toBe(TRANSMIT_QUEUE);
    expect(radio.statistics.queueDrops).toBe(5);
    a.on = false;
    radio.silence(a);
    expect(
      radio.send(
        a,
        group([b], 100, () => {}),
      ),
    ).toBe(false);
    events.run(1000);
  });

  test("a radio that scans, or sits on another channel, hears nothing", () => {
    const { events, radio } = setUp();
    const [a, b, c] = [transmitter(1), transmitter(2), transmitter(3)];
    b.awayUntil = (now) => (now < 100 ? 100 : 0);
    c.channel = 11;
    const got: string[] = [];
    radio.send(
      a,
      group([b, c], 100, (r) => got.push(r.map((one) => one.mac).join())),
    );
    events.run(200);
    radio.send(
      a,
      group([b, c], 100, (r) => got.push(r.map((one) => one.mac).join())),
    );
    events.run(400);
    expect(got).toEqual(["", b.mac]);
  });

  test("beacons of many access points take the air", () => {
    const rates = [0, 40].map((points) => {
      const { events, radio } = setUp();
      for (let i = 0; i < points; i++) radio.beacon(transmitter(10 + i), true);
      const [a, b] = [transmitter(1), transmitter(2)];
      let frames = 0;
      const send = (): void => {
        radio.send(
          a,
          group([b], 1000, () => (frames++, send())),
        );
      };
      send();
      events.run(60_000);
      return frames;
    });
    expect(rates[1]! / rates[0]!).toBeGreaterThan(0.45);
    expect(rates[1]! / rates[0]!).toBeLessThan(0.65);
  });
});

describe("loss", () => {
  /** Looks at a link every `everyMs`: the share of looks at which frames are lost, and the mean length in ms of a run. */
  function draw(model: LossModel, count: number, everyMs: number): { share: number; meanBurst: number } {
    const table = new LossTable(new Random(3), model);
    let lost = 0;
    let runs = 0;
    let before = false;
    for (let i = 0; i < count; i++) {
      const now = table.lost(1, 2, i * everyMs);
      if (now) lost++;
      if (now && !before) runs++;
      before = now;
    }
    return { share: lost / count, meanBurst: runs ? (lost * everyMs) / runs : 0 };
  }

  test("links lose their mean share, whatever they carry", () => {
    expect(draw(0.05, 40_000, 1).share).toBeCloseTo(0.05, 2);
    expect(draw(0, 1000, 1).share).toBe(0);
    for (const everyMs of [1, 20, 1000]) {
      expect(Math.abs(draw({ mean: 0.2, burst: 50 }, 60_000, everyMs).share - 0.2)).toBeLessThan(0.02);
    }
  });

  test("bursts have their mean length in time, not in frames", () => {
    expect(Math.abs(draw({ mean: 0.1, burst: 50 }, 400_000, 1).meanBurst - 50)).toBeLessThan(5);
    // Looks that are far apart know nothing of each other: a run is 1 / (1 - 0.2) looks.
    expect(draw({ mean: 0.2, burst: 50 }, 40_000, 1000).meanBurst).toBeCloseTo(1250, -2);
  });

  test("a burst longer than the tries of an acknowledged frame loses it; tries outlast a short one", () => {
    const failures = [5, 200].map((burst) => {
      const { events, radio } = setUp({ loss: { mean: 0.2, burst } });
      const [a, b] = [transmitter(1), transmitter(2)];
      let failed = 0;
      for (let i = 0; i < 1000; i++) {
        radio.send(a, { to: b, bytes: 100, kind: "tcp", done: (got) => void (got.length || failed++) });
        events.run((i + 1) * 1000);
      }
      return failed / 1000;
    });
    expect(failures[0]).toBeLessThan(0.03);
    expect(failures[1]).toBeGreaterThan(0.12);
    expect(failures[1]).toBeLessThan(0.2);
  });

  test("a frame whose acknowledgement is lost is repeated, and received once", () => {
    const { events, radio } = setUp();
    const [a, b] = [transmitter(1), transmitter(2)];
    radio.loss.set(b.id, a.id, 1);
    let got = 0;
    radio.send(a, { to: b, bytes: 100, kind: "tcp", done: (received) => (got += received.length) });
    events.run(1000);
    expect(got).toBe(1);
    expect(radio.statistics.byKind["tcp"]!.frames).toBe(7);
    expect(radio.statistics.undelivered).toBe(0);
  });

  test("each directed link has its own luck, untouched by the others", () => {
    const alone = new LossTable(new Random(3), 0.5);
    const busy = new LossTable(new Random(3), 0.5);
    const draws: boolean[] = [];
    const again: boolean[] = [];
    for (let i = 0; i < 50; i++) {
      draws.push(alone.lost(1, 2, i));
      busy.lost(2, 1, i);
      busy.lost(1, 3, i);
      again.push(busy.lost(1, 2, i));
    }
    expect(again).toEqual(draws);
  });

  test("numbers that are no chances are refused", () => {
    expect(() => new LossTable(new Random(1), 1.5)).toThrow(RangeError);
    expect(() => new LossTable(new Random(1), { mean: 0.1, burst: 0 })).toThrow(RangeError);
    expect(() => new LossTable(new Random(1), { mean: 1, burst: 10 })).toThrow(RangeError);
  });
});
